"""Settings, the only reader of the environment, and the composition root that wires the parts together.

Knows every floor below; no floor below knows it.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """Return the user's data folder for medstt (nothing is created)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "medstt"


class Settings(BaseSettings):
    """Every setting with its default and meaning; ``MEDSTT_<NAME>`` in the environment overrides."""

    model_config = SettingsConfigDict(env_prefix="MEDSTT_", extra="forbid")

    home: Path = Field(default_factory=default_home, description="Folder that holds everything written.")
    model: str = Field("medstt-mini", description="Model used when none is named.")
