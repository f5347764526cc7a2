"""A model in service: recording in, transcript out, with the names that somebody is listened for.

Owns the recogniser that works in this process; ``apart`` has the one that works in processes of its own. Knows nothing
of stored dictations, teams or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from medstt.engine.bias import NameLists, Names
from medstt.engine.protocol import Capabilities, DecodeOptions, Engine
from medstt.transcriber import TranscribeOptions, Transcriber
from medstt.values import Audio, Hypothesis, ModelRef, Transcript
from medstt.vocab import Lexicon

NO_EFFECT = "prompt has no effect: this engine cannot listen for names"

Heard = Callable[[Hypothesis, int], None]  # a hypothesis and how far decoding has come, in milliseconds


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a recording is listened to: in which language (None detects it), for a lexicon's names and further words.

    The words are kept nowhere.
    """

    language: str | None = None
    lexicon: Lexicon | None = None
    words: tuple[str, ...] = ()


class Recogniser(Protocol):
    """A loaded model; calls may come from several threads, ``size`` of them are worked on side by side."""

    @property
    def ref(self) -> ModelRef:
        """Name and digest of the loaded model."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        ...

    @property
    def size(self) -> int:
        """How many recordings are worked on at the same time."""
        ...

    def transcribe(self, audio: Audio, wanted: Wanted, heard: Heard) -> Transcript:
        """Transcribe a recording, telling ``heard`` phrase by phrase; what it raises ends the work."""
        ...

    def close(self) -> None:
        """Give back what the model holds; nobody uses it any more."""
        ...


def open_recogniser(backend: str, path: Path, name: str, digest: str | None, cache: Path) -> LocalRecogniser:
    """Load a model folder, whose conversion and compiled names are kept in ``cache``, with one thread.

    ``digest`` is the folder's, checked already. Raises ModelError, OptionError for the backend, ResourceError.
    """
    from medstt.engine import load_engine
    from medstt.engine.fake import FakeEngine
    from medstt.vocab import builtin_vocab_folder
    from medstt.vocab.command import dictation_commands

    lists = NameLists(cache / "names", dictation_commands(builtin_vocab_folder()))
    if backend == "fake":
        return LocalRecogniser(FakeEngine(name=name), lists)
    engine = load_engine(path, name, cache=cache / "engines", digest=digest, backend=backend)
    return LocalRecogniser(engine, lists)


class LocalRecogniser:
    """An engine in this process; ``lists`` makes and keeps what listens for names."""

    def __init__(self, engine: Engine, lists: NameLists) -> None:
        self._engine, self._lists = engine, lists

    @property
    def ref(self) -> ModelRef:
        """Name and digest of the loaded model."""
        return self._engine.ref

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return self._engine.capabilities

    @property
    def size(self) -> int:
        """One: an engine takes one call at a time."""
        return 1

    def transcribe(self, audio: Audio, wanted: Wanted, heard: Heard) -> Transcript:
        """Transcribe a recording, telling ``heard`` phrase by phrase.

        Raises VocabError for words that cannot be listened for, OptionError for the language, CorruptModel.
        """
        names = self.listen(wanted)
        options = replace(TranscribeOptions(), decode=DecodeOptions(language=wanted.language))
        transcriber = Transcriber(self._engine, options, names.bias, names.check, names.warnings)
        with transcriber.open(audio) as transcription:
            for hypothesis in transcription:
                heard(hypothesis, transcription.position_ms)
            return transcription.transcript()

    def listen(self, wanted: Wanted) -> Names:
        """Return what listens for the wanted names; a lexicon that was used before is found in microseconds."""
        if not self.capabilities.bias:
            return Names(None, None, 0, (NO_EFFECT,) if wanted.words else ())
        names = Names(None, None, 0) if wanted.lexicon is None else self._lists.open(self._engine, wanted.lexicon)
        return self._lists.add_words(self._engine, names, wanted.words)

    def close(self) -> None:
        """Nothing to do: the engine goes with this object."""
