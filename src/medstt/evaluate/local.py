"""Our own models under test: a registered version, a folder or a hub id, through the transcriber that serves them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medstt.audio import read_audio
from medstt.engine.bias import NameLists
from medstt.engine.load import load_engine
from medstt.engine.protocol import DecodeOptions, Engine
from medstt.errors import OptionError
from medstt.evaluate.clip import ClipReader
from medstt.evaluate.system import HeardWord, Reply, Request, SystemOptions
from medstt.listen import open_vocabulary
from medstt.registry.resolve import resolve_model
from medstt.transcriber import TranscribeOptions, Transcriber
from medstt.values import LANGUAGES, Audio, Transcript
from medstt.vocab import builtin_vocab_folder
from medstt.vocab.command import dictation_commands


class MedsttSystem:
    """A model behind the decode policy that serves it; the language is the request's unless one is given."""

    def __init__(self, transcribers: Mapping[str | None, Transcriber], options: SystemOptions, label: str) -> None:
        self._transcribers = transcribers
        self._options = options
        self._label = label
        self._clips = ClipReader()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, name: str, options: SystemOptions) -> MedsttSystem:
        """Load a model by name; raises UnknownModel, CorruptModel or ModelUnavailable."""
        if options.home is None:
            raise OptionError("no home folder is set", "Give SystemOptions a home")
        model = resolve_model(name, options.home)
        cache = options.home / "cache" / "engines"
        engine = load_engine(model.path, model.name, threads=options.threads, cache=cache, digest=model.digest)
        languages: list[str | None] = [*engine.capabilities.languages, None]
        lists = NameLists(options.home / "cache" / "names", dictation_commands(builtin_vocab_folder()))
        transcribers = {language: _listening(engine, language, options, lists) for language in languages}
        return cls(transcribers, options, name)

    def describe(self) -> Mapping[str, Any]:
        """Return the model's name and digest, and the digest of everything that can change its words."""
        transcriber = self._transcribers[None]
        ref = transcriber.engine.ref
        return {
            "kind": "medstt",
            "name": ref.name,
            "label": Path(self._label).name if "/" in self._label else self._label,
            "digest": ref.digest,
            "settings": transcriber.settings_digest,
            "beam": self._options.beam,
            "audio_context": self._options.audio_context or transcriber.engine.capabilities.audio_context,
            "language": self._options.language or "given",
            "names": transcriber.check is not None,
        }

    def transcribe(self, request: Request) -> Reply:
        """Transcribe one span; raises an AudioError."""
        language = self._options.language or request.language
        transcriber = self._transcribers.get(None if language == "auto" else language, self._transcribers[None])
        return reply_of_transcript(transcriber.transcribe(self._clip(request)))

    def _clip(self, request: Request) -> Audio:
        if not request.start_ms and request.end_ms is None:
            return read_audio(request.audio)
        with self._lock:
            return self._clips.read(request)


def _listening(engine: Engine, language: str | None, options: SystemOptions, lists: NameLists) -> Transcriber:
    """Return a transcriber of one language that listens for the names it would listen for in service."""
    decode = TranscribeOptions(DecodeOptions(language, options.beam, audio_context=options.audio_context))
    spoken = next((code for code in LANGUAGES if code == language), None)
    lexicon, warnings = open_vocabulary(options.vocabulary, spoken)
    if lexicon is None or not engine.capabilities.bias:
        return Transcriber(engine, decode)
    names = lists.open(engine, lexicon)
    return Transcriber(engine, decode, names.bias, names.check, (*warnings, *names.warnings))


def reply_of_transcript(transcript: Transcript) -> Reply:
    """Return a transcript as a system's reply."""
    words = tuple(HeardWord(w.text, w.segment.start_ms, w.segment.end_ms, w.confidence) for w in transcript.words)
    return Reply(transcript.text, words, None, transcript.language, transcript.duration_ms)
