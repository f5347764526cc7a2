"""Frames of a batch within a memory budget, and the second try with half of them when memory runs out.

Knows nothing of steps or files' contents but the one small file that keeps what was chosen.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

from transformers import WhisperConfig

from medstt.disk import write_atomically
from medstt.errors import OptionError, ResourceError
from medstt.train.recipe import Recipe

CHOSEN = "batch.json"  # in a run's folder: frames and accumulate where they differ from the recipe's
LEAST_FRAMES = 500  # 5 s: one short clip
TOKENS_PER_FRAME = 0.08  # padded: clinical dictation has 4-6 tokens a second
PROCESS_GB = 0.4  # interpreter and libraries
OVERHEAD = 1.4  # backward's temporaries and gaps; two models measured on a CPU needed 0.6 and 0.85 of the estimate
GB = 1e9

log = logging.getLogger(__name__)


class OutOfMemory(Exception):
    """An attempt ran out of memory; carries nothing, the remedy is the same for all."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out (Python's, the CPU allocator's or CUDA's)."""
    text = str(error)
    return isinstance(error, MemoryError | OutOfMemory) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def estimate_gb(config: WhisperConfig, recipe: Recipe, frames: int) -> float:
    """Return about how much memory training takes: weights, gradients, AdamW's moments, activations.

    All processes of a CPU run together, in float32; the memory-mapped feature cache is not counted.
    """
    d, encoder_ffn, decoder_ffn = config.d_model, config.encoder_ffn_dim, config.decoder_ffn_dim
    encoder = config.encoder_layers * (4 * d * d + 2 * d * encoder_ffn) + 3 * d * (config.num_mel_bins + d)
    decoder = config.decoder_layers * (8 * d * d + 2 * d * decoder_ffn) + config.vocab_size * d
    weights = encoder + decoder
    trained = {"full": weights, "frozen-encoder": decoder, "lora": weights // 20}[recipe.method]
    fixed = 4 * weights + 12 * trained + (4 * weights if recipe.loss.distil > 0 else 0)
    kept = recipe.method == "frozen-encoder" and recipe.views > 0  # no sound goes through the encoder
    heard = 0 if kept else config.encoder_layers * (11 * d + 2 * encoder_ffn) + 6 * d
    position = heard + config.decoder_layers * 2 * d
    token = config.decoder_layers * (18 * d + 2 * decoder_ffn) + 5 * config.vocab_size
    moving = 4 * OVERHEAD * frames * (position / 2 + TOKENS_PER_FRAME * token)
    return float(recipe.processes * (PROCESS_GB + (fixed + moving) / GB))


def fit(recipe: Recipe, config: WhisperConfig) -> Recipe:
    """Return the recipe with ``frames`` that fit ``memory_gb`` and ``accumulate`` raised so that a step sees as much.

    Raises OptionError where even the shortest batch does not fit.
    """
    if recipe.memory_gb is None:
        return recipe
    least = estimate_gb(config, recipe, LEAST_FRAMES)
    if least > recipe.memory_gb:
        raise OptionError(
            f"recipe {recipe.name}: memory_gb = {recipe.memory_gb:g} is too little; this model needs about {least:.2g}",
            "Raise memory_gb, lower processes, or use method = \"lora\"",
        )  # fmt: skip
    empty = estimate_gb(config, recipe, 0)
    per_frame = (least - empty) / LEAST_FRAMES
    frames = min(recipe.frames, int((recipe.memory_gb - empty) / per_frame) // 100 * 100)
    fitted = with_frames(recipe, max(LEAST_FRAMES, frames))
    if fitted.frames != recipe.frames:
        log.warning("memory_gb = %g: frames = %d, accumulate = %d", recipe.memory_gb, fitted.frames, fitted.accumulate)
    return fitted


def with_frames(recipe: Recipe, frames: int) -> Recipe:
    """Return the recipe with other ``frames``, ``accumulate`` raised so that a step sees at least as much speech."""
    accumulate = math.ceil(recipe.frames * recipe.accumulate / frames)
    return recipe.model_copy(update={"frames": frames, "accumulate": accumulate})


def remember(asked: Recipe, chosen: Recipe, folder: Path) -> None:
    """Keep the frames chosen in place of those asked for, so that a resumed run draws the same batches."""
    write_atomically(folder / CHOSEN, json.dumps({"asked": _batch(asked), "chosen": _batch(chosen)}) + "\n")


def recall(asked: Recipe, folder: Path) -> Recipe:
    """Return the recipe with the frames that an earlier part of this run ended with, if the same were asked for."""
    kept = read_chosen(folder)
    return asked.model_copy(update=kept["chosen"]) if kept.get("asked") == _batch(asked) else asked


def read_chosen(folder: Path) -> dict[str, dict[str, int]]:
    """Return ``asked`` and ``chosen`` frames and accumulate of a run that ran out of memory; empty for others."""
    path = folder / CHOSEN
    kept: dict[str, dict[str, int]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return kept


def _batch(recipe: Recipe) -> dict[str, int]:
    return {"frames": recipe.frames, "accumulate": recipe.accumulate}


def carry_out(recipe: Recipe, folder: Path, attempt: Callable[[Recipe], None]) -> Recipe:
    """Make an attempt, and when memory runs out one more with half the frames; returns the recipe that was carried out.

    Raises ResourceError naming the settings to lower when the second one fails too.
    """
    asked, recipe = recipe, recall(recipe, folder)
    for again in (True, False):
        try:
            attempt(recipe)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if not again or recipe.frames < 2 * LEAST_FRAMES:
                raise ResourceError(
                    f"out of memory with frames = {recipe.frames}",
                    "Lower frames in the recipe (and raise accumulate), set memory_gb, lower processes, or use "
                    'method = "lora"',
                ) from error
            recipe = with_frames(recipe, recipe.frames // 2)
            remember(asked, recipe, folder)
            log.warning("out of memory; trying once more with frames = %d, accumulate = %d", recipe.frames,
                        recipe.accumulate)  # fmt: skip
        else:
            return recipe
    raise AssertionError("the second attempt returns or raises")
