"""Open a model folder as an engine: the table of backends. Knows nothing of registries, hubs or settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medstt.errors import OptionError

if TYPE_CHECKING:
    from medstt.engine.whisper import WhisperEngine

BACKENDS = ("onnx", "transformers")


def load_engine(
    model_dir: Path,
    name: str,
    *,
    backend: str = "onnx",
    threads: int = 1,
    cache: Path | None = None,
    digest: str | None = None,
) -> WhisperEngine:
    """Open a Hugging Face Whisper folder as an engine called ``name``, with ``threads`` threads of its own.

    ``cache`` is the folder that keeps converted weights between runs; without it they are converted every time.
    ``digest`` is the folder's, if somebody has checked it already; otherwise every file is read to make one.
    Raises UnknownModel, CorruptModel or ModelError for the folder, OptionError for the backend, ModelUnavailable
    where a backend's package is missing, ResourceError where the cache cannot be written.
    """
    if backend not in BACKENDS:
        raise OptionError(f"backend {backend!r} is unknown", f"Choose one of {', '.join(BACKENDS)}")
    from medstt.engine.checkpoint import open_checkpoint
    from medstt.engine.whisper import WhisperEngine

    checkpoint = open_checkpoint(model_dir, digest)
    if backend == "transformers":
        from medstt.engine.transformers import open_transformers

        return WhisperEngine(open_transformers(checkpoint, threads=threads), name)
    from medstt.engine.onnx import open_onnx

    return WhisperEngine(open_onnx(checkpoint, cache=cache, threads=threads), name)
