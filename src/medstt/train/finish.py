"""From a trained model to a registered version: export, check, card with its whole lineage.

Knows nothing of steps or losses.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transformers import WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.feature import FRONT_END_VERSION
from medstt.manifest import digest_manifest
from medstt.registry import Card, ModelStore, RegisteredModel, write_card
from medstt.train.export import check_export, export_model
from medstt.train.memory import read_chosen
from medstt.train.recipe import Recipe
from medstt.train.run import Places, recipe_digest
from medstt.values import LANGUAGES

PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy", "espeakng-loader")


def environment() -> dict[str, str]:
    """Return the versions that a run depended on."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "features": FRONT_END_VERSION,
        **versions,
    }


def code_revision() -> str | None:
    """Return the package's version, with the commit where it runs from a checkout."""
    version = importlib.metadata.version("medstt")
    folder = Path(__file__).parent
    call = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return f"{version}+{call.stdout.strip()[:12]}" if call.returncode == 0 else version


def make_card(recipe: Recipe, places: Places, parent: str | None, metrics: Mapping[str, Any]) -> Card:
    """Return the card of a finished run: what it was made from, and what was measured while it was made."""
    manifests = [places.data / source.manifest for source in recipe.train]
    return Card(
        name=recipe.name,
        summary=recipe.summary,
        licence=recipe.licence,
        languages=LANGUAGES,
        audio_context="dynamic",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        parent=parent,
        recipe=recipe_digest(recipe),
        code=code_revision(),
        data=tuple(f"{path.parent.name}/{path.name} {digest_manifest(path)}" for path in manifests if path.exists()),
        limits=tuple(recipe.limits),
        environment=environment(),
        metrics=metrics,
        extra={"recipe_values": recipe.model_dump(mode="json"), **read_chosen(places.run)},
    )


def finish(
    model: WhisperForConditionalGeneration,
    tokenizer: WhisperTokenizerFast,
    card: Card,
    folder: Path,
    store: ModelStore | None,
) -> RegisteredModel | None:
    """Export to ``folder``, check the export against the trained weights, write the card, and register the version.

    Running it again after a kill ends in the same state: the export is rewritten, equal files are registered once.
    """
    export_model(model, tokenizer, folder)
    difference = check_export(model, folder)
    metrics = {**card.metrics, "export_difference": round(difference, 5)}
    card = replace(card, metrics=metrics)
    write_card(folder, card)
    return store.add(folder, card) if store is not None else None
