"""A training recipe: everything that decides a run, in one TOML file; unknown keys are refused.

Knows nothing of torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rapidfuzz import process

from medstt.errors import DataError


class Section(BaseModel):
    """A table of the recipe; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class DataSource(Section):
    """One manifest; ``weight`` is how often an epoch holds its utterances."""

    manifest: str
    weight: float = Field(1.0, gt=0)
    split: str | None = None
    optional: bool = Field(False, description="leave out where the manifest is missing")


class Shape(Section):
    """A new model's size (ignored when fine-tuning)."""

    d_model: int = 256
    encoder_layers: int = 4
    encoder_attention_heads: int = 4
    encoder_ffn_dim: int = 1024
    decoder_layers: int = 2
    decoder_attention_heads: int = 4
    decoder_ffn_dim: int = 1024
    vocabulary: int = Field(4000, description="text tokens of the tokenizer trained for it")


class Loss(Section):
    """Weights of the losses; the character CTC is strong first, then the decoder takes over."""

    ctc_start: float = 0.7
    ctc_end: float = 0.2
    ctc_until: float = Field(0.5, description="share of the steps at which ctc_end is reached")
    smoothing: float = 0.05
    guide_start: float = Field(0.0, description="weight of guided attention at the start")
    guide_end: float = Field(0.0, description="and where ctc_end is reached")
    text: float = Field(0.0, description="weight of the decoder's loss on bare text, without audio")
    distil: float = Field(0.0, description="weight of the distance to the frozen base's decoder states")


class Recipe(Section):
    """A whole run."""

    name: str
    summary: str = Field("", description="one sentence for the model card")
    licence: str = Field("", description="of the weights, for the model card")
    limits: list[str] = Field([], description="what the model cannot do, for the model card")
    base: str | None = Field(None, description="model to fine-tune; none: a new one")
    method: Literal["full", "lora", "frozen-encoder"] = "full"
    seed: int = 1
    steps: int = Field(gt=0)
    learning_rate: float = 1.5e-3
    warmup: int = 200
    final_rate: float = Field(0.02, description="learning rate at the end, as a share")
    weight_decay: float = 0.01
    dropout: float = 0.05
    clip: float = 1.0
    frames: int = Field(10_000, description="frames of 10 ms in a batch, padding included")
    accumulate: int = 1
    text_batch: int = Field(48, gt=0, description="sentences of bare text in a process's step, where loss.text is set")
    joined: float = 0.12
    empty: float = 0.03
    short_first: bool = False
    augment: float = Field(1.0, ge=0, le=1, description="strength of augmentation")
    augment_from: int = Field(0, description="step from which every clip is augmented; fewer before, none at the start")
    checkpoint_steps: int = 200
    dev_steps: int = 500
    patience: int = Field(0, ge=0, description="dev scores without a better one before the run stops; 0: never")
    term_weight: float = Field(1.0, ge=0, description="weight of missed terms beside word errors in the dev score")
    memory_gb: float | None = Field(None, gt=0, description="budget within which frames and accumulate are chosen")
    views: int = Field(
        1, ge=0, description="frozen-encoder: times every clip is augmented anew and its states kept; 0: none are kept"
    )
    states_gb: float = Field(10.0, gt=0, description="room for kept states on disk: fewer clips are kept to fit")
    processes: int = Field(1, gt=0, description="CPU: single-threaded processes that share a step; best is one a core")
    shape: Shape = Shape()
    loss: Loss = Loss()
    lora_rank: int = 16
    train: list[DataSource] = Field(min_length=1)
    dev: list[DataSource] = []
    noise: list[DataSource] = []


def parse_override(text: str) -> dict[str, Any]:
    """Turn ``a.b=1`` into {"a": {"b": 1}}; values are TOML, else strings."""
    key, equals, value = text.partition("=")
    if not equals:
        raise DataError(f"--set {text}: no '='", "Write --set key=value")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    assert isinstance(parsed, dict)
    return parsed


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it, tables merged."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def nearest_key(model: type[BaseModel], key: str) -> str | None:
    """Return the valid key most like a wrong one, if any is close."""
    found = process.extractOne(key, list(model.model_fields), score_cutoff=60)
    return str(found[0]) if found else None


def read_tables(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises DataError naming it and the fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the recipe") from error


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and lay ``key=value`` overrides on it.

    Raises DataError naming the wrong key and the nearest valid one.
    """
    data = read_tables(path)
    for override in overrides:
        data = merge(data, parse_override(override))
    data.pop("tune", None)  # what `medstt tune` may change is no part of a run
    return parse_recipe(data, path.name)


def parse_recipe(data: dict[str, Any], where: str) -> Recipe:
    """Validate a recipe's values; ``where`` goes into the message of the DataError raised."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        hint = "Correct the recipe"
        if first["type"] == "extra_forbidden":
            models: dict[str, type[BaseModel]] = {"shape": Shape, "loss": Loss, "train": DataSource, "dev": DataSource}
            near = nearest_key(models.get(str(first["loc"][0]), Recipe), str(first["loc"][-1]))
            hint = f"Did you mean {near!r}?" if near else f"Valid keys: {', '.join(Recipe.model_fields)}"
        raise DataError(f"{where}: {key}: {first['msg']}", hint) from error
