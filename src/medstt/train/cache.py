"""Decoded training audio as memory-mapped features, keyed by what they were made from.

Holds log powers (before scaling), so that augmentation can mix powers and what is left alone is bit for bit what
serving computes. Never used for audio being served. Knows nothing of models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medstt.audio import read_audio
from medstt.errors import AudioError, DataError
from medstt.feature import FRONT_END_VERSION, Features, log_power, pad_samples
from medstt.manifest import digest_manifest, read_manifest
from medstt.process import end_with_parent
from medstt.values import RATE_HZ, Utterance

CHUNK = 500  # utterances a worker computes before it writes a file


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Features of a manifest: ``features(i)`` for ``utterances[i]``."""

    folder: Path
    utterances: tuple[Utterance, ...]
    frames: npt.NDArray[np.int64]
    _offsets: npt.NDArray[np.int64]
    _files: tuple[Features, ...]

    def features(self, index: int) -> Features:
        """Return the log powers of one utterance, shape (frames, n_mels), read-only."""
        start = self._offsets[index]
        return self._files[index // CHUNK][start : start + self.frames[index]]


def check_audio(manifest: Path, rows: Sequence[Utterance]) -> None:
    """Raise DataError if audio named by a manifest is not there, before hours go into the rest of it."""
    there = {audio: (manifest.parent / audio).is_file() for audio in {row.audio for row in rows}}
    missing = [row for row in rows if not there[row.audio]]
    if missing:
        raise DataError(
            f"{manifest}: the audio of {len(missing)} utterances is missing, e.g. {missing[0].id}: {missing[0].audio}",
            "Put the files back, or take the rows out as `medstt data check` does",
        )


def _chunk(manifest: Path, rows: Sequence[Utterance], out: Path, n_mels: int) -> dict[str, str]:
    """Compute one chunk, unless audio in it cannot be used. Returns id -> reason for such utterances."""
    failed: dict[str, str] = {}
    parts: list[Features] = []
    frames: list[int] = []
    decoded: tuple[str, Features] | None = None
    for row in rows:
        try:
            if decoded is None or decoded[0] != row.audio:  # neighbours often share a long recording
                decoded = (row.audio, read_audio(manifest.parent / row.audio).samples)
            end = None if row.end_ms is None else row.end_ms * RATE_HZ // 1000
            if row.start_ms * RATE_HZ // 1000 >= len(decoded[1]):
                raise AudioError(f"{row.audio} ends before the utterance starts ({row.start_ms} ms)")
            features = log_power(pad_samples(decoded[1][row.start_ms * RATE_HZ // 1000 : end]), n_mels).T
            parts.append(features)
            frames.append(len(features))
        except AudioError as error:
            failed[row.id] = str(error)
    if failed:
        return failed  # the chunk does not count as done: it is computed again once the rows are repaired
    data = np.concatenate(parts) if parts else np.zeros((0, n_mels), np.float32)
    partial = out.with_suffix(".partial.npz")
    np.save(out.with_suffix(".npy"), data)
    np.savez(partial, frames=np.array(frames, np.int64))
    partial.replace(out.with_suffix(".npz"))  # the chunk counts as done from here on
    return failed


def open_cache(
    manifest: Path,
    root: Path,
    *,
    n_mels: int = 80,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FeatureCache:
    """Return the features of a manifest, computing what is not in ``root`` yet (resumable).

    Raises DataError where an utterance's audio cannot be decoded: the data check belongs before training.
    """
    rows = read_manifest(manifest)
    key = hashlib.sha256(f"{digest_manifest(manifest)}/{FRONT_END_VERSION}/{n_mels}".encode()).hexdigest()[:16]
    folder = root / key
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [(folder / f"{start // CHUNK:05d}", rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)]
    missing = [chunk for chunk in chunks if not chunk[0].with_suffix(".npz").exists()]
    check_audio(manifest, [row for _, part in missing for row in part])
    failed: dict[str, str] = {}
    if missing and jobs == 1:
        for done, (path, part) in enumerate(missing, 1):
            failed |= _chunk(manifest, part, path, n_mels)
            progress(done, len(missing))
    elif missing:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            waiting = [pool.submit(_chunk, manifest, part, path, n_mels) for path, part in missing]
            for done, future in enumerate(as_completed(waiting), 1):
                failed |= future.result()
                progress(done, len(missing))
    if missing:
        (folder / "source.json").write_text(json.dumps({"manifest": str(manifest), "failed": failed}, indent=1))
    if failed:
        first, reason = next(iter(failed.items()))
        raise DataError(
            f"{len(failed)} utterances cannot be decoded, e.g. {first}: {reason}", "Run `medstt data check`"
        )
    frames = np.concatenate([np.load(path.with_suffix(".npz"))["frames"] for path, _ in chunks])
    offsets = np.concatenate([
        np.cumsum(frames[start : start + CHUNK]) - frames[start : start + CHUNK] for start in range(0, len(rows), CHUNK)
    ])  # fmt: skip
    files = tuple(np.load(path.with_suffix(".npy"), mmap_mode="r") for path, _ in chunks)
    return FeatureCache(folder, tuple(rows), frames, offsets, files)
