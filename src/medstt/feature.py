"""The one log-mel front end, for training and serving alike, so that the two can never differ.

Whisper's features (Radford et al. 2022): 25 ms Hann windows every 10 ms, Slaney mel bands, log10 clamped to 8 below the
clip's maximum, scaled to about -1..1. Knows nothing of files or models.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from medstt.values import RATE_HZ, Samples

FRONT_END_VERSION = "logmel-1"
HOP = 160  # samples, 10 ms
WINDOW = 400  # samples, 25 ms
FULL_CONTEXT = 30 * RATE_HZ  # samples that stock Whisper pads every clip to
POSITION = 2 * HOP  # samples per encoder position: the second convolution halves the frame rate

Features = npt.NDArray[np.float32]


def hz_to_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert Hz to the Slaney mel scale (Auditory Toolbox 1998): linear to 1 kHz, logarithmic above."""
    return np.where(hz < 1000.0, hz * 3 / 200, 15.0 + 27.0 * np.log(np.maximum(hz, 1e-9) / 1000.0) / np.log(6.4))


def mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert the Slaney mel scale to Hz."""
    return np.where(mel < 15.0, mel * 200 / 3, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


@lru_cache(maxsize=4)
def mel_filters(n_mels: int) -> Features:
    """Return the triangular Slaney-normalised filters for 16 kHz, shape (n_mels, WINDOW // 2 + 1), read-only."""
    bins_hz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    edges_hz = mel_to_hz(np.linspace(0.0, hz_to_mel(np.array(RATE_HZ / 2)), n_mels + 2))
    widths_hz = np.diff(edges_hz)
    ramps = edges_hz[:, None] - bins_hz[None, :]
    rising = -ramps[:-2] / widths_hz[:-1, None]
    falling = ramps[2:] / widths_hz[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    result = filters.astype(np.float32)
    result.flags.writeable = False
    return result


@lru_cache(maxsize=4)
def _filter_supports(n_mels: int) -> tuple[npt.NDArray[np.intp], Features, npt.NDArray[np.intp]]:
    """Return the bins under all filters one after the other, their weights as a column, and where each filter starts.

    98 % of the filters is zero. Summing their supports is as fast as a sparse product, starts no threads beside the
    caller's as BLAS does, and spares the import of SciPy, half a second of every start.
    """
    supports = [used if len(used := np.flatnonzero(row)) else np.zeros(1, np.intp) for row in mel_filters(n_mels)]
    weights = np.concatenate([row[used] for row, used in zip(mel_filters(n_mels), supports, strict=True)])
    starts = np.cumsum([0, *(len(used) for used in supports[:-1])])
    return np.concatenate(supports), weights[:, None], starts


@lru_cache(maxsize=1)
def _window() -> npt.NDArray[np.float64]:
    return np.hanning(WINDOW + 1)[:-1]  # periodic Hann, as torch.stft's


def log_power(samples: Samples, n_mels: int = 80) -> Features:
    """Return log10 of the mel band powers, shape (n_mels, len(samples) // HOP), not below -10.

    This is what the training cache keeps: noise, gain and filters are applied to it as powers before ``scale``.
    """
    mode: Literal["reflect", "constant"] = "reflect" if len(samples) > WINDOW // 2 else "constant"
    padded = np.pad(samples.astype(np.float64), WINDOW // 2, mode=mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(samples) // HOP]
    # float64: in float32 the rounding noise of loud bins reaches quiet ones above the 1e-5 we promise.
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    bins, weights, starts = _filter_supports(n_mels)
    bands = np.add.reduceat(power.T[bins] * weights, starts, axis=0)
    log: Features = np.log10(np.maximum(bands, np.float32(1e-10)), dtype=np.float32)
    return log


def scale(log: Features) -> Features:
    """Return Whisper's scaling of one clip's log powers, same shape, about -1..1."""
    scaled: Features = (np.maximum(log, log.max(initial=-10.0) - np.float32(8.0)) + np.float32(4.0)) / np.float32(4.0)
    return scaled


def pad_samples(samples: Samples, context: int | None = None) -> Samples:
    """Pad with zeros to ``context`` samples, or (None) to whole encoder positions; longer input is not cut."""
    target = context if context is not None else max(1, -(-len(samples) // POSITION)) * POSITION
    return np.pad(samples, (0, max(0, target - len(samples))))


def log_mel(samples: Samples, n_mels: int = 80, context: int | None = None) -> Features:
    """Return log-mel features of one clip, shape (n_mels, frames), frames even.

    ``context`` in samples: FULL_CONTEXT for models tuned at 30 s, None for the clip's own length.
    """
    return scale(log_power(pad_samples(samples, context), n_mels))
