"""The ONNX Runtime backend: conversion cached on disk, single-threaded sessions, the cache kept in runtime memory.

Knows nothing of searching, words or audio.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from medstt.engine.backend import Array, Precision, Tokens
from medstt.engine.checkpoint import Checkpoint
from medstt.engine.letter import Letters
from medstt.errors import CorruptModel, ResourceError
from medstt.feature import Features

CONVERTER_VERSION = "3"  # part of the cache key: raise it whenever a graph or the quantisation changes

LETTERS = "letters"  # the encoder's output of that name, where a model has it
_ERROR_ONLY = 3  # onnxruntime's log level


@dataclass(frozen=True, slots=True)
class OnnxMemory:
    """Encoded clips: cross-attention states by input name, which positions are real, what was heard by letters."""

    cross: dict[str, ort.OrtValue]
    mask: ort.OrtValue
    lengths: tuple[int, ...]
    letters: tuple[Letters, ...] = ()


@dataclass(frozen=True, slots=True)
class OnnxCache:
    """Self-attention states by input name, and how many tokens they hold."""

    past: dict[str, ort.OrtValue]
    length: int


class OnnxBackend:
    """Whisper on ONNX Runtime, CPU."""

    def __init__(self, checkpoint: Checkpoint, encoder: ort.InferenceSession, decoder: ort.InferenceSession) -> None:
        self._checkpoint = checkpoint
        self._encoder = encoder
        self._decoder = decoder
        self._outputs = [output.name for output in decoder.get_outputs()]
        self._encoded = [output.name for output in encoder.get_outputs()]
        self._feeds = [name.replace("next_", "past_") for name in self._outputs[2:]]
        self._no = _value(np.array([False]))
        self._yes = _value(np.array([True]))
        self._suppress: dict[int, tuple[Array, ort.OrtValue]] = {}
        self._takes: dict[tuple[int, ...], ort.OrtValue] = {}

    def replicate(self) -> OnnxBackend:
        """Return a backend over the same sessions: the runtime lets several threads run one at the same time."""
        return OnnxBackend(self._checkpoint, self._encoder, self._decoder)

    @property
    def checkpoint(self) -> Checkpoint:
        """The model folder behind it."""
        return self._checkpoint

    def encode(self, features: Sequence[Features]) -> OnnxMemory:
        """Encode each clip at its own length (batching gains nothing on CPU), then pad the states together."""
        each = [
            self._encoder.run_with_ort_values(self._encoded, {"features": _value(np.ascontiguousarray(clip[None]))})
            for clip in features
        ]
        lengths = tuple(states[0].shape()[2] for states in each)
        columns = dict(zip(self._encoded, zip(*each, strict=True), strict=True))
        letters = tuple(value.numpy()[0] for value in columns.pop(LETTERS, ()))
        cross = {name: column[0] if len(each) == 1 else _value(_pad(column)) for name, column in columns.items()}
        return OnnxMemory(cross, _value(_mask(lengths)), lengths, letters)

    def letters(self, memory: OnnxMemory) -> tuple[Letters, ...]:
        """Return what each clip sounds like by letters; empty for a model without a head for them."""
        return memory.letters

    def select(self, memory: OnnxMemory, items: Sequence[int]) -> OnnxMemory:
        """Keep these items, in this order."""
        lengths = tuple(memory.lengths[item] for item in items)
        cross = {
            name: _value(value.numpy()[list(items), :, : max(lengths)].copy()) for name, value in memory.cross.items()
        }
        letters = tuple(memory.letters[item] for item in items) if memory.letters else ()
        return OnnxMemory(cross, _value(_mask(lengths)), lengths, letters)

    def begin(self, memory: OnnxMemory, beams: int) -> OnnxCache:
        """Return an empty cache of ``items * beams`` rows."""
        shape = self._checkpoint.shape
        heads, size = shape.decoder_heads, shape.d_model // shape.decoder_heads
        empty = _value(np.zeros((len(memory.lengths) * beams, heads, 0, size), np.float32))
        return OnnxCache(dict.fromkeys(self._feeds, empty), 0)

    def step(
        self, memory: OnnxMemory, cache: OnnxCache, tokens: Tokens, take: Sequence[int], suppress: Array
    ) -> tuple[Array, OnnxCache]:
        """Feed tokens; return log-probabilities at the positions ``take`` and the grown cache."""
        outputs = self._run(memory, cache, tokens, tuple(take), suppress, self._no)
        past = dict(zip(self._feeds, outputs[2:], strict=True))
        return outputs[0].numpy(), OnnxCache(past, cache.length + tokens.shape[1])

    def reorder(self, cache: OnnxCache, rows: npt.NDArray[np.intp]) -> OnnxCache:
        """Return the cache with these rows, in this order."""
        return OnnxCache({name: _value(value.numpy()[rows]) for name, value in cache.past.items()}, cache.length)

    def attend(self, memory: OnnxMemory, tokens: Tokens) -> Array:
        """Return the alignment heads' attention for whole sequences."""
        nothing = np.zeros(self._checkpoint.shape.vocabulary, np.float32)
        outputs = self._run(memory, self.begin(memory, 1), tokens, (tokens.shape[1] - 1,), nothing, self._yes)
        attention: Array = outputs[1].numpy()
        return attention

    def _run(
        self,
        memory: OnnxMemory,
        cache: OnnxCache,
        tokens: Tokens,
        take: tuple[int, ...],
        suppress: Array,
        attend: ort.OrtValue,
    ) -> list[ort.OrtValue]:
        feeds = {
            "tokens": _value(tokens),
            "positions": _value(np.arange(cache.length, cache.length + tokens.shape[1])),
            "take": self._take(take),
            "suppress": self._suppressed(suppress),
            "mask": memory.mask,
            "attend": attend,
            **memory.cross,
            **cache.past,
        }
        outputs: list[ort.OrtValue] = self._decoder.run_with_ort_values(self._outputs, feeds)
        return outputs

    def _take(self, take: tuple[int, ...]) -> ort.OrtValue:
        if len(take) > 1:
            return _value(np.array(take, np.int64))
        if take not in self._takes:
            self._takes[take] = _value(np.array(take, np.int64))
        return self._takes[take]

    def _suppressed(self, suppress: Array) -> ort.OrtValue:
        """Hand a suppression vector over once; callers keep and reuse a handful of them."""
        if id(suppress) not in self._suppress:
            if len(self._suppress) >= 16:
                self._suppress.clear()
            self._suppress[id(suppress)] = (
                suppress,
                _value(suppress),
            )  # the array is kept so that its id stays its own
        return self._suppress[id(suppress)][1]


def open_onnx(
    checkpoint: Checkpoint, *, cache: Path | None, threads: int, precision: Precision = "int8"
) -> OnnxBackend:
    """Convert a checkpoint, or take the conversion from ``cache``, and load it with ``threads`` threads.

    The cache key is the weights' and configuration's digest with the converter's version and precision. Without a
    cache folder the conversion lives in a temporary one. Raises ResourceError where it cannot be written.
    """
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="medstt-", ignore_cleanup_errors=True) as name:
            _convert(checkpoint, Path(name), precision)
            return _load(checkpoint, Path(name), threads)
    folder = cache / f"{checkpoint.digest[:16]}-onnx{CONVERTER_VERSION}-{precision}"
    if not (folder / "decoder.onnx").is_file():
        try:
            _convert_atomically(checkpoint, folder, precision)
        except OSError as error:
            raise ResourceError(
                f"{folder}: cannot write the converted model ({error.strerror})", "Free space or name another folder"
            ) from error
    return _load(checkpoint, folder, threads)


def _load(checkpoint: Checkpoint, folder: Path, threads: int) -> OnnxBackend:
    try:
        sessions = [_open_session(folder / f"{name}.onnx", threads) for name in ("encoder", "decoder")]
    except Exception as error:  # the runtime raises a class of its own for each kind of damage
        raise CorruptModel(f"{folder}: converted model does not load ({error})", "Delete that folder") from error
    return OnnxBackend(checkpoint, *sessions)


def _convert_atomically(checkpoint: Checkpoint, folder: Path, precision: Precision) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        _convert(checkpoint, partial, precision)
        partial.chmod(0o755)
        try:
            partial.rename(folder)
        except OSError:
            if not (folder / "decoder.onnx").is_file():  # otherwise somebody else was first with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _convert(checkpoint: Checkpoint, folder: Path, precision: Precision) -> None:
    from medstt.engine.graph import build_decoder, build_encoder  # brings onnx, which a converted model does not need

    for name, build in (("encoder", build_encoder), ("decoder", build_decoder)):
        with (folder / f"{name}.bin").open("wb") as data:
            model = build(checkpoint, data, f"{name}.bin", precision)
            data.flush()
            os.fsync(data.fileno())
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


def _open_session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR_ONLY
    options.enable_cpu_mem_arena = False  # it keeps the largest of every shape; without it decoding is also faster
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _value(array: npt.NDArray[np.generic]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _mask(lengths: Sequence[int]) -> npt.NDArray[np.int32]:
    return (np.arange(max(lengths))[None] < np.array(lengths)[:, None]).astype(np.int32)


def _pad(states: Sequence[ort.OrtValue]) -> Array:
    """Stack (1, heads, length, size) states of several lengths, zeros behind the shorter ones."""
    arrays = [state.numpy() for state in states]
    _, heads, _, size = arrays[0].shape
    stacked = np.zeros((len(arrays), heads, max(array.shape[2] for array in arrays), size), np.float32)
    for row, array in enumerate(arrays):
        stacked[row, :, : array.shape[2]] = array[0]
    return stacked
