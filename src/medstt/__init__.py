"""Transfer-learning speech-to-text for medical dictation.

    import medstt
    transcript = medstt.transcribe("dictation.m4a")
    for hypothesis in medstt.stream("ward-round.wav", language="de"):
        print(hypothesis.text)

Owns the few calls most programs need; for many recordings open one transcriber and keep it. Knows nothing itself:
everything is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from medstt.version import __version__

if TYPE_CHECKING:
    from medstt.listen import Vocabulary
    from medstt.transcriber import TranscribeOptions, Transcriber
    from medstt.values import Document, Hypothesis, Transcript

__all__ = ["__version__", "format", "open_transcriber", "stream", "transcribe"]


def transcribe(
    source: str | Path | bytes | BinaryIO,
    *,
    model: str | None = None,
    language: str | None = None,
    vocabulary: Vocabulary = None,
) -> Transcript:
    """Return the verbatim transcript of one recording: a path, its bytes, or an open binary file.

    ``model`` is a name as in ``medstt transcribe --model``, None the configured one; ``language`` "en" or "de", None
    detects it. ``vocabulary`` are names to listen for: strings are terms, paths are lists, tables or folders laid over
    the built-in vocabulary; an empty one listens for none. Raises an AudioError for the recording, a ModelError for
    the model, a VocabError. Loads the model on each call.
    """
    return open_transcriber(model=model, language=language, vocabulary=vocabulary).transcribe(_as_source(source))


def stream(
    source: str | Path | bytes | BinaryIO,
    *,
    model: str | None = None,
    language: str | None = None,
    vocabulary: Vocabulary = None,
) -> Iterator[Hypothesis]:
    """Yield what is heard phrase by phrase, in order of time; arguments and errors as for ``transcribe``."""
    yield from open_transcriber(model=model, language=language, vocabulary=vocabulary).stream(_as_source(source))


def format(source: str | list[str] | Transcript, language: str, template: str | None = None) -> Document:
    """Write a report from verbatim words; see ``medstt.text.format`` for a site's style and templates."""
    from medstt.text.formatter import format as format_words

    return format_words(source, language, template)


def open_transcriber(
    *,
    model: str | None = None,
    language: str | None = None,
    replicas: int = 1,
    options: TranscribeOptions | None = None,
    vocabulary: Vocabulary = None,
) -> Transcriber:
    """Load a model once for many recordings; ``replicas`` single-threaded engines share its work."""
    from medstt.service import open_transcriber as open_with
    from medstt.service import read_settings

    return open_with(
        read_settings(), model=model, language=language, replicas=replicas, options=options, vocabulary=vocabulary
    )


def _as_source(source: str | Path | bytes | BinaryIO) -> Path | bytes | BinaryIO:
    return Path(source) if isinstance(source, str) else source
