"""The limits that a recording and its text have to keep, as one validated table; every limit has its reason.

Knows nothing of how they are measured.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medstt.errors import DataError


class Rules(BaseModel):
    """Limits; what lies beyond one is quarantined, never deleted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_duration_ms: int = Field(300, ge=0, description="shorter clips hold no word")
    max_duration_ms: int = Field(30_000, gt=0, description="a Whisper window; cut longer recordings first")
    max_clipping: float = Field(0.01, ge=0, le=1, description="share of samples at full scale")
    min_snr_db: float = Field(5.0, description="speech over background; below it words are guessed")
    min_level_dbfs: float = Field(-50.0, description="peak below which a clip counts as silent")
    min_words_per_minute: float = Field(
        30.0, ge=0, description="fewer: text is missing, or the recording is mostly empty"
    )
    max_words_per_minute: float = Field(330.0, gt=0, description="more: the recording is cut, or the text is another's")
    min_chars_per_s: float = Field(2.0, ge=0, description="the same limit for long compounds")
    max_chars_per_s: float = Field(30.0, gt=0)
    slack_words: int = Field(2, ge=0, description="texts of so few words are not judged by their rate")
    max_chars: int = Field(800, gt=0, description="more does not fit into 448 tokens of the decoder")
    max_same_text: int = Field(3, ge=1, description="recordings of one text; more teach the decoder to recite it")
    max_cer: float = Field(0.5, gt=0, description="character error rate of the current model's output against the text")

    @model_validator(mode="after")
    def _check(self) -> Rules:
        for low, high in (
            ("min_duration_ms", "max_duration_ms"),
            ("min_words_per_minute", "max_words_per_minute"),
            ("min_chars_per_s", "max_chars_per_s"),
        ):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self


def read_rules(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Rules:
    """Read limits from a TOML file (or the defaults) with ``overrides`` over them; raises DataError naming the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
        return Rules.model_validate({**values, **(overrides or {})})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the file of limits") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "limits"
        raise DataError(f"{where}: {first['msg']}", f"Known limits: {', '.join(Rules.model_fields)}") from error
