"""Decoded frames to mono at 16 kHz: gather into blocks, mend, mix down, resample.

Knows nothing of files and containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from medstt.values import RATE_HZ, Samples

_BLOCK_S = 1.0
_CLIPPED = 0.99  # of full scale
_CLIPPED_SHARE = 0.001
_LIVE_SHARE = 1e-3  # a channel 30 dB below the loudest is dead
_INVERTED = -0.8  # correlation with the loudest channel
_REMEMBER = 0.9  # decay of the channel statistics per block


class Mixer:
    """Averages channels at the source's rate; drops none, cancels none, and counts what is wrong.

    A channel 30 dB below the loudest does not count in the average (a dead half of dual mono would cost 6 dB), and
    one of opposite polarity is turned round (its average with the other would be silence). Weights follow decaying
    statistics and change within a block as a ramp, so no step is heard.
    """

    def __init__(self) -> None:
        self.total = 0
        self.bad = 0
        self._clipped = 0
        self._flipped = False
        self._covariance: npt.NDArray[np.float64] | None = None
        self._weights: npt.NDArray[np.float64] | None = None

    def mix(self, block: npt.NDArray[np.float32]) -> Samples:
        """Return the mono mix of a block of shape (channels, n)."""
        finite = np.isfinite(block)
        self.total += block.size
        bad = block.size - int(np.count_nonzero(finite))
        if bad:
            self.bad += bad
            block = np.where(finite, block, np.float32(0))
        self._clipped += int(np.count_nonzero(np.abs(block) >= _CLIPPED))
        block = np.clip(block, -1.0, 1.0)
        if len(block) == 1:
            return np.ascontiguousarray(block[0])
        return self._weigh(block)

    def _weigh(self, block: npt.NDArray[np.float32]) -> Samples:
        centred = block - block.mean(axis=1, keepdims=True)
        covariance = (centred @ centred.T).astype(np.float64)
        if self._covariance is not None and self._covariance.shape == covariance.shape:
            covariance += self._covariance * _REMEMBER
        else:
            self._weights = None
        self._covariance = covariance
        target = self._target(covariance)
        start = target if self._weights is None else self._weights
        self._weights = target
        if np.array_equal(start, target):
            return (target.astype(np.float32) @ block).astype(np.float32)
        ramp = np.linspace(0.0, 1.0, block.shape[1], dtype=np.float32)
        old, new = start.astype(np.float32) @ block, target.astype(np.float32) @ block
        return np.clip(old + (new - old) * ramp, -1.0, 1.0).astype(np.float32)

    def _target(self, covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        energy = np.diag(covariance)
        loudest = int(np.argmax(energy))
        live = energy > energy[loudest] * _LIVE_SHARE
        scale = np.sqrt(energy * energy[loudest]) + 1e-12
        inverted = live & (covariance[loudest] / scale < _INVERTED)
        self._flipped = self._flipped or bool(inverted.any())
        return np.where(inverted, -1.0, 1.0) / max(1, int(live.sum()))

    def warnings(self) -> Iterator[str]:
        """Yield what a listener should know of the recording."""
        if self.bad:
            yield f"not a number: {self.bad} of {self.total} samples replaced by silence"
        if self._clipped > self.total * _CLIPPED_SHARE:
            yield f"clipped: {100 * self._clipped / self.total:.1f} % of the samples at full scale"
        if self._flipped:
            yield "polarity: one channel was inverted against the other and has been turned round"


class Resampler:
    """Mono float32 at any rate to 16 kHz; a change of rate in mid-stream starts a new filter."""

    def __init__(self) -> None:
        self._filter: av.AudioResampler | None = None
        self._rate_hz = 0

    def push(self, samples: Samples, rate_hz: int) -> Iterator[Samples]:
        """Yield what is ready after these samples."""
        if rate_hz != self._rate_hz:
            yield from self.flush()
            self._rate_hz = rate_hz
            self._filter = None if rate_hz == RATE_HZ else av.AudioResampler("fltp", "mono", RATE_HZ)
        if self._filter is None:
            yield samples
            return
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        frame.time_base = Fraction(1, rate_hz)
        yield from self._ready(frame)

    def flush(self) -> Iterator[Samples]:
        """Yield the filter's tail."""
        if self._filter is not None:
            yield from self._ready(None)
            self._filter = None
            self._rate_hz = 0

    def _ready(self, frame: av.AudioFrame | None) -> Iterator[Samples]:
        assert self._filter is not None
        for out in self._filter.resample(frame):
            if out.samples:
                yield np.clip(out.to_ndarray()[0], -1.0, 1.0)


def gather_blocks(frames: Iterator[av.AudioFrame]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Gather frames into blocks of about a second: (rate_hz, float32 of shape (channels, n), full scale 1)."""
    pending: list[npt.NDArray[Any]] = []
    count, form = 0, (0, 0, "")
    for frame in frames:
        found = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if pending and (found != form or count >= form[0] * _BLOCK_S):
            yield form[0], _float_channels(pending, form[1])
            pending, count = [], 0
        form = found
        pending.append(frame.to_ndarray())
        count += frame.samples
    if pending:
        yield form[0], _float_channels(pending, form[1])


def _float_channels(parts: list[npt.NDArray[Any]], channels: int) -> npt.NDArray[np.float32]:
    """Join frames' raw samples, planar (channels, n) or packed (1, n * channels), as float32 of shape (channels, n)."""
    data = np.concatenate(parts, axis=1)
    if len(data) != channels:
        data = data.reshape(-1, channels).T
    with np.errstate(over="ignore", invalid="ignore"):
        samples: npt.NDArray[np.float32] = data.astype(np.float32)
    if data.dtype == np.uint8:
        samples -= 128
    if not np.issubdtype(data.dtype, np.floating):
        samples /= 1 << (8 * data.dtype.itemsize - 1)
    return samples
