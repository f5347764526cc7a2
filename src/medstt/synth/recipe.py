"""A synthesis recipe: what is said, who says it and how it is recorded, in one TOML file; unknown keys are refused.

Knows nothing of sentences, voices or audio.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rapidfuzz import fuzz, process

from medstt.errors import DataError
from medstt.values import Language

DEFAULT_PER_TERM = 8


class Section(BaseModel):
    """A table of the recipe; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Part(Section):
    """One kind of sentence in a recipe: from text files, or from the grammar."""

    lang: Language
    kind: Literal["text", "grammar"]
    count: int = Field(gt=0, description="utterances, at most")
    files: list[str] = Field(default=[], description="kind text: file names in the texts folder")
    max_words: int = Field(14, gt=1)
    spoken_marks: float = Field(0.25, ge=0, le=1, description="kind text: share with dictated punctuation")
    drugs: bool = Field(False, description="kind grammar: sentences about drugs, or about everything else")
    drug_names: Literal["train", "held-out", "all", "none"] = Field(
        "train", description="which drugs may be named: those not held out, those held out, all of them, none"
    )

    @model_validator(mode="after")
    def _check(self) -> Part:
        if self.kind == "grammar" and self.drugs and self.drug_names == "none":
            raise ValueError("drugs = true and drug_names = 'none' contradict one another")
        return self


class Codec(Section):
    """How often (as shares of one) each codec is chosen."""

    ulaw: float = Field(1.0, ge=0, description="telephone: G.711 u-law, 8 kHz")
    amr: float = Field(1.0, ge=0, description="mobile telephone: AMR-NB 12.2 kbit/s (GSM EFR), 8 kHz")
    opus: float = Field(1.0, ge=0, description="browser and messenger: Opus 12 kbit/s")
    mp3: float = Field(1.0, ge=0, description="recorder: MP3 32 kbit/s")


class Degrade(Section):
    """How clean speech is spoilt; every share is drawn for itself, so that some stays clean."""

    noise: float = Field(0.5, ge=0, le=1, description="share with noise")
    snr_db: tuple[float, float] = Field((5.0, 30.0), description="speech over noise, from and to")
    noises: str | None = Field(None, description="folder of recorded noise, relative to the recipe; none: made noise")
    made: float = Field(0.3, ge=0, le=1, description="share of made noise where recordings are there")
    rooms: float = Field(0.3, ge=0, le=1, description="share with a room")
    impulses: str | None = Field(None, description="folder of impulse responses, relative to the recipe")
    rt60_ms: tuple[int, int] = Field((120, 600), description="simulated rooms: time to fall by 60 dB, from and to")
    codecs: float = Field(0.25, ge=0, le=1, description="share through a codec")
    codec: Codec = Codec()

    @model_validator(mode="after")
    def _check(self) -> Degrade:
        if self.snr_db[0] > self.snr_db[1] or not 0 < self.rt60_ms[0] <= self.rt60_ms[1]:
            raise ValueError("snr_db and rt60_ms go from the smaller to the larger value")
        if self.codecs > 0 and not any(self.codec.model_dump().values()):
            raise ValueError("codecs > 0, but every codec's share is 0")
        return self


class SynthRecipe(Section):
    """What to say and who says it."""

    seed: int
    split: str = "train"
    voices: Literal["train", "held-out", "command"] = Field(
        "train", description="the voices for training, those held out, or those of --voice-command"
    )
    engine: Literal["espeak", "flite"] | None = Field(None, description="only this engine's voices for training")
    command_voices: dict[Language, list[str]] = Field(
        default={}, description="what stands for {voice} in --voice-command, by language"
    )
    rate: tuple[int, int] = Field((140, 205), description="words a minute, from and to")
    parts: list[Part] = []
    terms: str | None = Field(None, description="table or list of terms to teach, relative to the recipe")
    per_term: int = Field(DEFAULT_PER_TERM, gt=0, description="sentences for each of these terms")
    degrade: Degrade | None = None

    @model_validator(mode="after")
    def _check(self) -> SynthRecipe:
        if not 60 <= self.rate[0] <= self.rate[1] <= 450:
            raise ValueError("rate goes from the smaller to the larger value, within 60..450")
        return self


def read_recipe(path: Path) -> SynthRecipe:
    """Read a synthesis recipe; raises DataError naming the key that is wrong and the nearest valid one."""
    try:
        return SynthRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the recipe") from error
    except ValidationError as error:
        # A misspelt key is also a missing one: name what was written.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"])
        hint = "Correct the recipe"
        if first["type"] == "extra_forbidden":
            model = _table(tuple(str(part) for part in first["loc"][:-1]))
            near = process.extractOne(
                str(first["loc"][-1]), list(model.model_fields), scorer=fuzz.ratio, score_cutoff=60
            )
            hint = f"Did you mean {near[0]!r}?" if near else f"Valid keys: {', '.join(model.model_fields)}"
        raise DataError(f"{path.name}: {where or 'recipe'}: {first['msg']}", hint) from error


def _table(place: tuple[str, ...]) -> type[Section]:
    """Return the model of the table that a wrong key stands in."""
    if place[:1] == ("parts",):
        return Part
    if place[:1] == ("degrade",):
        return Codec if "codec" in place else Degrade
    return SynthRecipe


def scale_recipe(recipe: SynthRecipe, scale: float) -> SynthRecipe:
    """Return the recipe with a share of every part's sentences, at least two each; terms to teach stay as many."""
    parts = [part.model_copy(update={"count": max(2, round(part.count * scale))}) for part in recipe.parts]
    return recipe.model_copy(update={"parts": parts})


def terms_recipe(per_term: int, seed: int = 1) -> SynthRecipe:
    """Return the recipe that teaches a list of terms and nothing else; its terms are handed over apart."""
    degrade = Degrade.model_validate({})
    return SynthRecipe(seed=seed, per_term=per_term, degrade=degrade)
