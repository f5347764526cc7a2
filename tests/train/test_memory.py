"""Batches within a memory budget, and the second try when memory runs out."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import WhisperConfig

from medstt.errors import OptionError, ResourceError
from medstt.train.memory import carry_out, estimate_gb, fit
from medstt.train.recipe import DataSource, Recipe

TINY = WhisperConfig(vocab_size=51865)  # the defaults are whisper-tiny's shape


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {"name": "tones", "steps": 20, "train": [DataSource(manifest="manifest.jsonl")]}
    return Recipe.model_validate(values | changes)


def test_a_budget_lowers_frames_and_keeps_a_step_as_large() -> None:
    asked = recipe(memory_gb=2.0, frames=24_000)
    fitted = fit(asked, TINY)
    assert fitted.frames < asked.frames
    assert fitted.frames * fitted.accumulate >= asked.frames * asked.accumulate
    assert estimate_gb(TINY, fitted, fitted.frames) <= 2.0
    assert fit(recipe(frames=24_000), TINY).frames == 24_000
    assert fit(recipe(memory_gb=500.0, frames=24_000), TINY).frames == 24_000


def test_a_budget_too_small_says_what_it_needs() -> None:
    with pytest.raises(OptionError, match=r"memory_gb = 0\.3 is too little.*needs about"):
        fit(recipe(memory_gb=0.3), TINY)


def test_out_of_memory_is_tried_once_more_with_half_the_frames(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def attempt(plan: Recipe) -> None:
        seen.append((plan.frames, plan.accumulate))
        if plan.frames > 6000:
            raise MemoryError

    done = carry_out(recipe(frames=10_000), tmp_path, attempt)
    assert seen == [(10_000, 1), (5000, 2)]
    assert done.frames == 5000
    carry_out(recipe(frames=10_000), tmp_path, attempt)  # a later part of the run begins with what worked
    assert seen[2:] == [(5000, 2)]
    carry_out(recipe(frames=4000), tmp_path, attempt)  # the user's own change counts
    assert seen[3:] == [(4000, 1)]


def test_out_of_memory_twice_names_the_settings(tmp_path: Path) -> None:
    def attempt(plan: Recipe) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    with pytest.raises(ResourceError, match=r"frames = 5000.*Lower frames.*memory_gb.*lora"):
        carry_out(recipe(frames=10_000), tmp_path, attempt)
    with pytest.raises(ValueError, match="something else"):
        carry_out(recipe(), tmp_path, lambda plan: (_ for _ in ()).throw(ValueError("something else")))
