"""Model versions as plain directories: add, verify, pack, alias, promote, roll back, and resolve a name to a folder.

Knows nothing of how a model is trained, decoded or measured; it reads a recorded verdict, no more.
"""

from __future__ import annotations

from medstt.registry.card import Card, Verdict, read_card, write_card
from medstt.registry.digest import digest_files, digest_model, read_digests, verify_files
from medstt.registry.layout import is_packed
from medstt.registry.packed import pack, unpack
from medstt.registry.resolve import ResolvedModel, built_in_models, locate_model, resolve_model
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
    "is_packed",
    "locate_model",
    "pack",
    "read_card",
    "read_digests",
    "resolve_model",
    "unpack",
    "verify_files",
    "write_card",
]
