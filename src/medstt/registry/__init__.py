"""Model versions as plain directories: add, verify, alias, promote, roll back, and resolve a name to a folder.

Knows nothing of how a model is trained, decoded or measured; it reads a recorded verdict, no more.
"""

from __future__ import annotations

from medstt.registry.card import Card, Verdict, read_card, write_card
from medstt.registry.digest import digest_files, digest_model, read_digests, verify_files
from medstt.registry.resolve import ResolvedModel, built_in_models, resolve_model
from medstt.registry.store import AliasEvent, ModelStore, RegisteredModel

__all__ = [
    "AliasEvent",
    "Card",
    "ModelStore",
    "RegisteredModel",
    "ResolvedModel",
    "Verdict",
    "built_in_models",
    "digest_files",
    "digest_model",
    "read_card",
    "read_digests",
    "resolve_model",
    "verify_files",
    "write_card",
]
