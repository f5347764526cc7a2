"""Other people's engines in this process: faster-whisper and a transformers pipeline, on the same requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medstt.disk import digest_file
from medstt.errors import ModelUnavailable, UnknownModel
from medstt.evaluate.clip import ClipReader
from medstt.evaluate.system import Reply, Request, SystemOptions
from medstt.feature import FULL_CONTEXT, pad_samples
from medstt.speech import segment_stream
from medstt.values import Audio, Samples


def _model_folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise UnknownModel(f"{name}: no such model folder", "Give a local folder; nothing is downloaded here")
    return folder


def _weights_digest(folder: Path, names: tuple[str, ...]) -> str | None:
    return next((digest_file(folder / name) for name in names if (folder / name).is_file()), None)


def _pieces(audio: Audio, options: SystemOptions) -> tuple[Samples, ...]:
    """Return what a program is to hear, one after the other: the clip as it is, or the phrases that we find in it."""
    if not options.phrases:
        return (audio.samples,)
    return tuple(pad_samples(phrase.samples, FULL_CONTEXT) for phrase in segment_stream([audio.samples]))


class _Multilingual:
    """A CTranslate2 model that says it knows several languages.

    CTranslate2 tells by the size of the vocabulary (51,865 and more), and faster-whisper then leaves language and task
    out of the prompt; a smaller vocabulary with language tokens is multilingual all the same.
    """

    is_multilingual = True

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class FasterWhisperSystem:
    """faster-whisper on a CTranslate2 folder, int8; no VAD, no text of earlier windows, no second try when in doubt.

    Text without time tokens, as our own engine and transformers decode it, and without word times: asked for them, it
    listens once more to what follows the last word and adds what it hears there. A window shorter than 30 s it fills
    up with zeros in the place of features, which no other program does and no model was trained on; phrases that come
    with silence up to 30 s (see ``SystemOptions``) leave it nothing to fill up.
    """

    def __init__(self, model: Any, folder: Path, options: SystemOptions) -> None:
        self._model = model
        self._folder = folder
        self._options = options
        self._clips = ClipReader()

    @classmethod
    def open(cls, name: str, options: SystemOptions) -> FasterWhisperSystem:
        """Load a CTranslate2 Whisper folder; raises UnknownModel or ModelUnavailable."""
        folder = _model_folder(name)
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ModelUnavailable("faster-whisper is not installed", "Run `pip install faster-whisper`") from error
        model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=options.threads, local_files_only=True
        )
        if all(model.hf_tokenizer.token_to_id(name) is not None for name in ("<|en|>", "<|de|>", "<|transcribe|>")):
            model.model = _Multilingual(model.model)
        return cls(model, folder, options)

    def describe(self) -> Mapping[str, Any]:
        """Return the folder's name, the digest of its weights and the settings."""
        return {
            "kind": "faster-whisper", "name": self._folder.name, "label": f"faster-whisper {self._folder.name}",
            "digest": _weights_digest(self._folder, ("model.bin",)), "beam": self._options.beam, "compute_type": "int8",
            "audio_context": "full", "phrases": self._options.phrases,
        }  # fmt: skip

    def transcribe(self, request: Request) -> Reply:
        """Transcribe one clip; raises an AudioError."""
        audio = self._clips.read(request)
        language = self._options.language or request.language
        heard = []
        for samples in _pieces(audio, self._options):
            segments, info = self._model.transcribe(
                samples, language=None if language == "auto" else language, beam_size=self._options.beam,
                condition_on_previous_text=False, temperature=0.0, without_timestamps=True,
            )  # fmt: skip
            heard += [segment.text.strip() for segment in segments]
            language = info.language
        return Reply(" ".join(heard).strip(), (), None, language, audio.duration_ms)


class TransformersSystem:
    """A transformers Whisper folder through its own processor and ``generate``, float32, padded to 30 s."""

    def __init__(self, pipe: Any, folder: Path, options: SystemOptions) -> None:
        self._pipe = pipe
        self._folder = folder
        self._options = options
        self._clips = ClipReader()

    @classmethod
    def open(cls, name: str, options: SystemOptions) -> TransformersSystem:
        """Load a Hugging Face Whisper folder as a speech recognition pipeline; raises ModelUnavailable."""
        folder = _model_folder(name)
        try:
            from transformers import pipeline
        except ImportError as error:
            raise ModelUnavailable("transformers is not installed", "Run `pip install medstt[train]`") from error
        return cls(pipeline("automatic-speech-recognition", model=str(folder), device="cpu"), folder, options)

    def describe(self) -> Mapping[str, Any]:
        """Return the folder's name, the digest of its weights and the settings."""
        return {
            "kind": "transformers", "name": self._folder.name, "label": f"transformers {self._folder.name}",
            "digest": _weights_digest(self._folder, ("model.safetensors",)), "beam": self._options.beam,
            "audio_context": "full", "phrases": self._options.phrases,
        }  # fmt: skip

    def transcribe(self, request: Request) -> Reply:
        """Transcribe one clip; raises an AudioError."""
        audio = self._clips.read(request)
        language = self._options.language or request.language
        settings: dict[str, Any] = {"num_beams": self._options.beam, "task": "transcribe"}
        if language != "auto":
            settings["language"] = language
        heard = [
            str(self._pipe({"raw": samples, "sampling_rate": audio.rate_hz}, generate_kwargs=settings)["text"]).strip()
            for samples in _pieces(audio, self._options)
        ]
        return Reply(" ".join(heard).strip(), audio_ms=audio.duration_ms)
