"""Where somebody speaks, and where to cut: Silero's voice activity and segments of natural phrases, in a stream.

Two thresholds keep speech safe: whatever may be speech (``keep``) is inside some segment, and only clear pauses
(``pause``) are places to cut. Knows nothing of files, engines or words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from medstt.values import RATE_HZ, Samples, Segment

FRAME = 512  # samples, 32 ms: Silero's window
FRAME_MS = FRAME * 1000 // RATE_HZ
_CONTEXT = 64  # samples of the window before that Silero looks back on
_STATE = (1, 1, 128)
_PIECE = 31 * FRAME  # about a second: the step in which a stream is examined
_SILENCE_DB = -100.0
_SMOOTH = np.ones(3) / 3  # frames

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How to cut a recording; lengths in milliseconds, thresholds are probabilities of speech (0-1).

    A pause ends a segment if it lasts ``long_pause_ms`` at ``min_ms`` of speech or ``short_pause_ms`` at
    ``soft_ms`` (in between: linear; below ``min_ms``: ``break_ms``). At ``max_ms`` the longest pause so far is taken,
    (if it lasts ``word_gap_ms``), and where nobody pauses, the quietest point before ``hard_ms``. Lonely sounds whose
    probabilities add up to less than ``evidence_ms`` of speech are left out (spoken words reach 150 ms and more, also
    at -60 dBFS and in noise at 10 dB; most knocks, clicks, rain and engines stay below 80).
    """

    keep: float = 0.15
    pause: float = 0.4
    min_ms: int = 4_000
    soft_ms: int = 10_000
    max_ms: int = 15_000
    hard_ms: int = 28_000
    long_pause_ms: int = 800
    short_pause_ms: int = 320
    break_ms: int = 1_600
    word_gap_ms: int = 160
    pad_ms: int = 200
    evidence_ms: int = 80


@dataclass(frozen=True, slots=True, eq=False)
class SpeechSegment:
    """A phrase: its place in the recording and its samples (read-only, exactly ``segment`` long)."""

    segment: Segment
    samples: Samples


@dataclass(frozen=True, slots=True)
class SpeechStatistics:
    """How a recording sounds: dBFS of its speech (RMS), estimated ratio to the noise in its pauses, and clipping.

    ``level_dbfs`` is None without speech, ``snr_db`` without speech or without a pause to hear the noise in.
    ``clipped_share`` is the share of samples at 99 % of full scale or above.
    """

    duration_ms: int
    speech_ms: int
    level_dbfs: float | None
    snr_db: float | None
    clipped_share: float


def segment_speech(samples: Samples, options: SegmentOptions = SegmentOptions()) -> list[Segment]:
    """Return the spoken phrases of a recording in order of time, non-overlapping, padded."""
    return [piece.segment for piece in segment_stream([samples], options)]


def segment_stream(
    blocks: Iterable[Samples], options: SegmentOptions = SegmentOptions(), meter: SpeechMeter | None = None
) -> Iterator[SpeechSegment]:
    """Yield each phrase as soon as its end is known; at most ``hard_ms`` and a few seconds of audio are held.

    ``blocks`` are mono float32 at 16 kHz, of any lengths. ``meter`` collects the recording's statistics on the way.
    """
    segmenter = _Segmenter(options, meter)
    for piece in _regroup(blocks):
        yield from segmenter.push(piece)
    yield from segmenter.finish()


def _regroup(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield the samples in equal pieces, so that the result does not depend on how they came."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) else block
        whole = len(rest) // _PIECE * _PIECE
        for start in range(0, whole, _PIECE):
            yield rest[start : start + _PIECE]
        rest = rest[whole:]
    yield rest


def measure_speech(samples: Samples) -> SpeechStatistics:
    """Return the statistics of a whole recording in memory."""
    meter = SpeechMeter()
    for _ in segment_stream([samples], meter=meter):
        pass
    return meter.statistics()


class VoiceActivity:
    """Silero VAD over a stream: the probability of speech in each window of 512 samples, state carried along."""

    def __init__(self) -> None:
        self._session = _session()
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def __call__(self, samples: Samples) -> Floats:
        """Return one probability per window, shape (n,); ``samples`` must be whole windows, n * 512 of them."""
        if not len(samples):
            return np.zeros(0, np.float32)
        windows = samples.reshape(-1, FRAME)
        before = np.concatenate([self._context[np.newaxis], windows[:-1, -_CONTEXT:]])
        self._context = windows[-1, -_CONTEXT:].copy()
        inputs = {"input": np.concatenate([before, windows], axis=1), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(None, inputs)
        return np.asarray(probabilities, np.float32)


@lru_cache(maxsize=1)
def _session() -> Any:
    """Return the shared session (thread-safe; one thread, as the model is too small to split)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = files("medstt").joinpath("data", "silero_vad.onnx").read_bytes()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class SpeechMeter:
    """Collects what ``SpeechStatistics`` needs while a recording streams by."""

    def __init__(self) -> None:
        self._samples = 0
        self._clipped = 0
        self._speech = 0
        self._probabilities: list[Floats] = []
        self._levels: list[Floats] = []

    def add(self, samples: Samples, probabilities: Floats, levels_db: Floats) -> None:
        """Take in samples and the probability and level of the windows they complete."""
        self._samples += len(samples)
        self._clipped += int(np.count_nonzero(np.abs(samples) >= 0.99))
        self._probabilities.append(probabilities)
        self._levels.append(levels_db)

    def statistics(self, speech: float = 0.5, noise: float = 0.15) -> SpeechStatistics:
        """Return the statistics; windows at or above ``speech`` count as speech, below ``noise`` as noise."""
        empty = [np.zeros(0, np.float32)]
        probabilities = np.concatenate(self._probabilities or empty)
        power = 10.0 ** (np.concatenate(self._levels or empty).astype(np.float64) / 10)
        spoken, pauses = power[probabilities >= speech], power[probabilities < noise]
        level = _decibel(float(spoken.mean())) if len(spoken) else None
        snr = None
        if level is not None and len(pauses):
            # The median: the edges of words and the odd knock are not the room's noise.
            floor = float(np.median(pauses))
            snr = round(_decibel(max(float(spoken.mean()) - floor, 1e-12)) - _decibel(floor), 1)
        return SpeechStatistics(
            duration_ms=self._samples * 1000 // RATE_HZ,
            speech_ms=len(spoken) * FRAME_MS,
            level_dbfs=None if level is None else round(level, 1),
            snr_db=snr,
            clipped_share=self._clipped / self._samples if self._samples else 0.0,
        )


class _Segmenter:
    """Holds the frames since the last cut and emits a phrase once its end is certain.

    Frames are counted from the start of the recording; ``_first`` is the first one held.
    """

    def __init__(self, options: SegmentOptions, meter: SpeechMeter | None) -> None:
        self._options = options
        self._meter = meter
        self._activity = VoiceActivity()
        self._samples = np.zeros(0, np.float32)  # from the frame _first on, with an unfinished frame at the end
        self._probabilities = np.zeros(0, np.float32)
        self._levels = np.zeros(0, np.float32)
        self._first = 0
        self._emitted_to = 0  # sample
        self._pad = _frames(options.pad_ms)  # frames held before speech that has not begun

    def push(self, block: Samples) -> Iterator[SpeechSegment]:
        """Take in up to a second of samples and yield the phrases that are now complete."""
        self._examine(block)
        yield from self._emit(final=False)

    def finish(self) -> Iterator[SpeechSegment]:
        """Yield what is left at the end of the recording."""
        rest = len(self._samples) - len(self._probabilities) * FRAME
        total = self._first * FRAME + len(self._samples)
        if rest:
            self._examine(np.zeros(FRAME - rest, np.float32), padding=True)
        yield from self._emit(final=True, total=total)

    def _examine(self, block: Samples, padding: bool = False) -> None:
        held = len(self._probabilities) * FRAME
        self._samples = np.concatenate([self._samples, block])
        whole = (len(self._samples) - held) // FRAME * FRAME
        windows = self._samples[held : held + whole]
        probabilities, levels = self._activity(windows), _levels_db(windows)
        self._probabilities = np.concatenate([self._probabilities, probabilities])
        self._levels = np.concatenate([self._levels, levels])
        if self._meter is not None:
            self._meter.add(block[:0] if padding else block, probabilities, levels)

    def _emit(self, final: bool, total: int | None = None) -> Iterator[SpeechSegment]:
        while len(self._probabilities):
            kept = _kept(self._probabilities, self._options, final)
            spoken = np.flatnonzero(kept)
            if not len(spoken):
                self._drop(len(kept) if final else max(0, len(kept) - self._pad))
                return
            start = int(spoken[0])
            cut = _find_cut(self._probabilities, self._levels, start, self._options, final)
            if cut is None:
                self._drop(max(0, start - self._pad))
                return
            last = int(spoken[spoken < cut][-1]) + 1
            yield self._piece(start, last, cut, total)
            self._drop(cut)

    def _piece(self, start: int, last: int, cut: int, total: int | None) -> SpeechSegment:
        """Return the phrase of frames ``start``..``last``, padded but not beyond its neighbours' cuts."""
        pad = self._options.pad_ms * RATE_HZ // 1000
        origin = self._first * FRAME
        begin = max(origin + start * FRAME - pad, self._emitted_to, origin)
        end = min(origin + last * FRAME + pad, origin + cut * FRAME)
        end = end if total is None else min(end, total)
        self._emitted_to = end
        segment = Segment(begin * 1000 // RATE_HZ, end * 1000 // RATE_HZ)
        grain = RATE_HZ // 1000
        samples = self._samples[segment.start_ms * grain - origin : segment.end_ms * grain - origin].copy()
        samples.flags.writeable = False
        return SpeechSegment(segment, samples)

    def _drop(self, count: int) -> None:
        self._first += count
        self._samples = self._samples[count * FRAME :]
        self._probabilities = self._probabilities[count:]
        self._levels = self._levels[count:]


def _kept(probabilities: Floats, options: SegmentOptions, final: bool) -> npt.NDArray[np.bool_]:
    """Mark the frames that may be speech: ``keep`` or above, save for lonely blips with too little evidence.

    The sum of a group's probabilities is its expected time of speech. A blip at the end of what is known stays
    marked until its end is known.
    """
    kept = probabilities >= options.keep
    apart = _frames(options.short_pause_ms)
    groups: list[tuple[int, int]] = []
    for start, end in _runs(kept):
        if groups and start - groups[-1][1] < apart:
            start = groups.pop()[0]
        groups.append((start, end))
    for start, end in groups:
        undecided = not final and len(kept) - end < apart
        group = probabilities[start:end]
        if not undecided and float(group[group >= options.keep].sum()) * FRAME_MS < options.evidence_ms:
            kept[start:end] = False
    return kept


def _find_cut(probabilities: Floats, levels: Floats, start: int, options: SegmentOptions, final: bool) -> int | None:
    """Return the frame at which the phrase begun at ``start`` is to be cut, None if it is too early to say."""
    count = len(probabilities)
    # The padding at both ends counts towards the limits.
    longest = count - start + 2 * _frames(options.pad_ms)
    pauses = [(a, b) for a, b in _runs(probabilities < options.pause) if a > start]
    for a, b in pauses:
        if a - start > _frames(options.max_ms):
            break
        if b - a >= _needed(a - start, options):
            return _quietest(levels, a, b)
    if longest > _frames(options.max_ms):
        usable = [
            (b - a, a, b)
            for a, b in pauses
            if b < count and a - start >= _frames(options.min_ms) and b - a >= _frames(options.word_gap_ms)
        ]
        if usable:
            _, a, b = max(usable)
            return _quietest(levels, a, b)
    if longest >= _frames(options.hard_ms):
        smooth = np.convolve(levels, _SMOOTH, mode="same")
        half = start + _frames(options.hard_ms) // 2
        return half + int(np.argmin(smooth[half : start + _frames(options.hard_ms) - 2 * _frames(options.pad_ms)]))
    return count if final else None


def _needed(spoken: int, options: SegmentOptions) -> int:
    """Return how many frames a pause must last to end a phrase of ``spoken`` frames."""
    if spoken < _frames(options.min_ms):
        return _frames(options.break_ms)
    done = min(1.0, (spoken * FRAME_MS - options.min_ms) / max(1, options.soft_ms - options.min_ms))
    return _frames(round(options.long_pause_ms + done * (options.short_pause_ms - options.long_pause_ms)))


def _quietest(levels: Floats, start: int, end: int) -> int:
    """Return the quietest frame in the middle half of a pause."""
    margin = (end - start) // 4
    smooth = np.convolve(levels[start:end], _SMOOTH, mode="same")
    middle = smooth[margin : max(margin + 1, end - start - margin)]
    return max(start + margin + int(np.argmin(middle)), start + 1)


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of True as (start, end), end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _frames(duration_ms: int) -> int:
    return -(-duration_ms // FRAME_MS)


def _levels_db(windows: Samples) -> Floats:
    """Return each window's RMS level without its mean in dBFS, not below -100."""
    shaped = windows.reshape(-1, FRAME).astype(np.float64)
    power = shaped.var(axis=1)
    levels: Floats = np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _SILENCE_DB).astype(np.float32)
    return levels


def _decibel(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-10)))
