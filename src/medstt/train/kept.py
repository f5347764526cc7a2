"""Which states a run with a frozen encoder keeps: what its recipe says, within its room on disk.

Knows nothing of how states are stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import WhisperForConditionalGeneration

from medstt.errors import OptionError
from medstt.train.augment import AugmentOptions
from medstt.train.clip import CLEAN
from medstt.train.recipe import Recipe
from medstt.train.state import CHUNK, ClipMaker, StateCache, View, count_clips, digest_encoder, open_states

PADDED = 0.02  # of the clips are padded to 30 s: about as many as when one batch in ten is


def keeps_states(recipe: Recipe) -> bool:
    """Tell whether a recipe trains a decoder on kept states of its encoder."""
    return recipe.method == "frozen-encoder" and recipe.views > 0


def augment_options(recipe: Recipe) -> AugmentOptions:
    """Return how clips are augmented; a strength of 0 leaves them as they are."""
    return AugmentOptions(strength=recipe.augment) if recipe.augment > 0 else CLEAN


def check_kept(recipe: Recipe, dynamic: bool) -> None:
    """Raise OptionError for what kept states cannot do; ``dynamic``: whether the base hears clips at their length."""
    if not keeps_states(recipe):
        return
    if recipe.augment_from > 0:
        raise OptionError(
            f"recipe {recipe.name}: augment_from = {recipe.augment_from}, but states are kept before the first step",
            "Set augment_from = 0, with augment = 0 for clean clips, or views = 0 to compute states in every step",
        )
    if recipe.loss.distil > 0 and not dynamic:
        raise OptionError(
            f"recipe {recipe.name}: its base hears nothing but 30 s, and cannot be distilled from kept states",
            "Set loss.distil = 0, or views = 0 to compute states in every step",
        )


def open_kept(
    recipe: Recipe,
    sources: Sequence[tuple[Path, float]],
    noises: Sequence[Path],
    root: Path,
    base: Path,
    model: WhisperForConditionalGeneration,
    jobs: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> list[tuple[StateCache, float]]:
    """Return the kept states of manifests with their weights, computing those that are missing (resumable).

    ``model`` holds the encoder of the model in ``base``; features and states lie under ``root``.
    """
    view = View(augment_options(recipe), tuple(noises), recipe.joined, recipe.empty, PADDED, recipe.seed)
    makers = [ClipMaker(manifest, root, model.config.num_mel_bins, view, recipe.views) for manifest, _ in sources]
    weights = [weight for _, weight in sources]
    frames = recipe.steps * recipe.accumulate * recipe.processes * recipe.frames
    counts = count_clips(makers, weights, frames, model.config.d_model, recipe.states_gb)
    encoder = digest_encoder(model)
    found = []
    for maker, count, (manifest, weight) in zip(makers, counts, sources, strict=True):
        name, everything = f"{manifest.parent.name}/{manifest.name}", len(maker.order)
        whole_files = min(everything, math.ceil(count / CHUNK) * CHUNK)
        say(f"{name}: encoder states of {whole_files:,} clips of {everything:,}, views: {recipe.views}")
        states = open_states(maker, base, encoder, count, jobs)
        say(f"{name}: {states.size_bytes / 1e6:,.1f} MB in {maker.folder(encoder)}")
        found.append((states, weight))
    return found
