"""Settings, the only reader of the environment, and the composition root that wires the parts together.

Knows every floor below; no floor below knows it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:  # heavy parts are imported when they are wired
    from medstt.engine.protocol import Bias, Engine
    from medstt.transcriber import TranscribeOptions, Transcriber


def default_home() -> Path:
    """Return the user's data folder for medstt (nothing is created)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "medstt"


class Settings(BaseSettings):
    """Every setting with its default and meaning; ``MEDSTT_<NAME>`` in the environment overrides."""

    model_config = SettingsConfigDict(env_prefix="MEDSTT_", extra="forbid")

    home: Path = Field(default_factory=default_home, description="Folder that holds everything written.")
    model: str = Field("medstt-mini", description="Model used when none is named.")


def open_transcriber(
    settings: Settings,
    *,
    model: str | None = None,
    language: str | None = None,
    replicas: int = 1,
    options: TranscribeOptions | None = None,
    bias: Bias | None = None,
) -> Transcriber:
    """Resolve a model by name, load it with so many single-threaded replicas and return its transcriber.

    ``language`` None detects it; it stands before the one in ``options``. Raises ModelError, or OptionError for a
    language the model does not know.
    """
    from medstt.transcriber import TranscribeOptions, Transcriber

    chosen = options or TranscribeOptions()
    if language is not None:
        chosen = replace(chosen, decode=replace(chosen.decode, language=language))
    return Transcriber(load_model(settings, model, replicas), chosen, bias)


def load_model(settings: Settings, model: str | None = None, replicas: int = 1) -> Engine:
    """Resolve a model by name and load it; several replicas share the work of one call. Raises ModelError."""
    from medstt.engine import EnginePool, load_engine
    from medstt.registry import resolve_model

    found = resolve_model(model or settings.model, settings.home)
    cache = settings.home / "cache" / "engines"
    engines = [load_engine(found.path, found.name, cache=cache) for _ in range(replicas)]
    return engines[0] if replicas == 1 else EnginePool(engines)
