"""A frozen encoder's states of training clips, computed once: memory-mapped half floats, keyed by what made them.

Clips stand in one order, view after view (each view is every utterance once, joined and augmented anew), and a run
computes the first so many of them: a longer run adds to what a shorter one has made. A chunk counts once its list
exists, so a killed run goes on with the first that does not. Knows nothing of losses or steps.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.disk import naming_disk_errors, write_atomically
from medstt.process import end_with_parent
from medstt.train.augment import Augment, AugmentOptions
from medstt.train.batch import BatchOptions, Targets, pad, write_targets
from medstt.train.cache import open_cache
from medstt.train.clip import Clips, Spoken
from medstt.train.draw import Drawer, order_batches
from medstt.train.model import AUDIO_CONTEXT, FULL_FRAMES, Batch, encode

FORMAT = 1
CHUNK = 256  # clips in a file; every file that is mapped stays open
TASK = 8  # chunks, at most, that a worker computes before it loads the model again

States = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class View:
    """How clips are made before the encoder hears them: what each of the views has in common."""

    augment: AugmentOptions
    noises: tuple[Path, ...]  # manifests
    joined: float
    empty: float
    full_context: float
    seed: int


@dataclass(frozen=True, slots=True)
class StateCache:
    """Kept states of one manifest's clips: ``states(i)`` for ``spoken[i]``; ``per_view`` of them are one view."""

    spoken: tuple[Spoken, ...]
    positions: npt.NDArray[np.int64]
    per_view: int
    _offsets: npt.NDArray[np.int64]
    _files: tuple[States, ...]

    def states(self, index: int) -> States:
        """Return the encoder states of one clip, shape (positions, d), read-only."""
        start = self._offsets[index]
        return self._files[index // CHUNK][start : start + self.positions[index]]

    @property
    def size_bytes(self) -> int:
        """What the states in use take on disk."""
        return sum(file.nbytes for file in self._files)


class ClipMaker:
    """The clips of one manifest, whose features lie under ``root``, in the order in which their states are kept."""

    def __init__(self, manifest: Path, root: Path, n_mels: int, view: View, views: int) -> None:
        self.features = open_cache(manifest, root, n_mels=n_mels)
        self.noises = [open_cache(noise, root, n_mels=n_mels) for noise in view.noises]
        sounds = tuple(noise.features(index) for noise in self.noises for index in range(len(noise.utterances)))
        self._clips = Clips([self.features], [1.0], Augment(view.augment, sounds), view.joined)
        self.view, self._root = view, root
        self._made_from = (manifest, root, n_mels, view, views)
        parts = [self._clips.choose(np.random.default_rng((view.seed, number))) for number in range(views)]
        self.per_view = len(parts[0])
        self.order = [(number, index, clip) for number, part in enumerate(parts) for index, clip in enumerate(part)]

    def folder(self, encoder: str) -> Path:
        """Return where an encoder's states are kept; the name of a feature cache holds its digest and front end."""
        view = self.view
        sounds = [cache.folder.name for cache in (self.features, *self.noises)]
        shares = (view.joined, view.empty, view.full_context, view.seed, asdict(view.augment))
        key = hashlib.sha256(repr((FORMAT, encoder, sounds, shares)).encode()).hexdigest()[:16]
        return self._root / "states" / key

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as what it was made from: memory-mapped features are not copied."""
        return ClipMaker, self._made_from

    @property
    def mean_frames(self) -> float:
        """Return about how many frames a clip has; a share of them is padded to 30 s."""
        own = sum(self._clips.length(clip) for _, _, clip in self.order) / max(1, len(self.order))
        return own + self.view.full_context * (FULL_FRAMES - own)

    def sound(self, place: int) -> tuple[npt.NDArray[np.float32], Spoken]:
        """Return a clip as the encoder takes it, shape (1, n_mels, T), and what is said in it."""
        number, index, clip = self.order[place]
        rng = np.random.default_rng((self.view.seed, number, index))
        item = self._clips.item(clip, 1.0, rng)
        if rng.random() < self.view.empty:
            item = self._clips.empty(len(item.features), rng)
        context = FULL_FRAMES if rng.random() < self.view.full_context else None
        return pad([item.features], context), item.spoken


def digest_encoder(model: WhisperForConditionalGeneration) -> str:
    """Return the SHA-256 of an encoder: its weights, and what of the configuration decides its output."""
    config = model.config
    shape = (config.encoder_attention_heads, config.activation_function, getattr(config, AUDIO_CONTEXT, "dynamic"))
    digest = hashlib.sha256(repr(shape).encode())
    for name, weight in sorted(model.model.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def open_states(maker: ClipMaker, base: Path, encoder: str, count: int, jobs: int = 1) -> StateCache:
    """Return the states of a manifest's first ``count`` clips, computing what is not kept yet (resumable).

    ``encoder`` is the digest of the encoder of the model in ``base``. Raises ResourceError where the disk is full.
    """
    folder = maker.folder(encoder)
    chunks = range(math.ceil(min(count, len(maker.order)) / CHUNK))
    missing = [number for number in chunks if not _list(folder, number).exists()]
    if missing:
        with naming_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    if missing and (jobs == 1 or torch.cuda.is_available()):
        _compute(folder, base, maker, missing)
    elif missing:
        parts = jobs * math.ceil(len(missing) / (jobs * TASK))
        tasks = [missing[part::parts] for part in range(min(parts, len(missing)))]
        with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_start_worker) as pool:
            for future in as_completed([pool.submit(_compute, folder, base, maker, task) for task in tasks]):
                future.result()
    rows = [json.loads(_list(folder, number).read_text(encoding="utf-8")) for number in chunks]
    positions = np.array([clip["positions"] for row in rows for clip in row], np.int64)
    offsets = np.concatenate([
        np.cumsum(positions[start : start + CHUNK]) - positions[start : start + CHUNK]
        for start in range(0, len(positions), CHUNK)
    ])  # fmt: skip
    spoken = tuple(Spoken(clip["text"], clip["lang"], clip["start"], clip["end"]) for row in rows for clip in row)
    files = tuple(np.load(_file(folder, number), mmap_mode="r") for number in chunks)
    return StateCache(spoken, positions, maker.per_view, offsets, files)


def _start_worker() -> None:
    end_with_parent()
    torch.set_num_threads(1)


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.npy"


def _list(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.json"


@torch.no_grad()
def _compute(folder: Path, base: Path, maker: ClipMaker, chunks: Sequence[int]) -> None:
    """Compute chunks one after another, clip by clip at its own length: no clip's states depend on its company."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = WhisperForConditionalGeneration.from_pretrained(base).float().eval().to(device)
    for number in chunks:
        parts: list[States] = []
        rows: list[dict[str, object]] = []
        for place in range(number * CHUNK, min((number + 1) * CHUNK, len(maker.order))):
            sound, spoken = maker.sound(place)
            parts.append(encode(model, torch.from_numpy(sound).to(device))[0].half().cpu().numpy())
            rows.append(asdict(spoken) | {"positions": len(parts[-1])})
        partial_file = _file(folder, number).with_suffix(".partial.npy")
        with naming_disk_errors(folder):
            np.save(partial_file, np.concatenate(parts))
            partial_file.replace(_file(folder, number))
        write_atomically(_list(folder, number), json.dumps(rows, ensure_ascii=False))  # counts from here on


def count_clips(
    makers: Sequence[ClipMaker], weights: Sequence[float], frames: int, width: int, most_gb: float
) -> list[int]:
    """Return how many clips of each manifest a run keeps: no more than it draws, and within ``most_gb`` on disk.

    ``frames`` is what the whole run takes in. Where room is short every manifest gives up the same share.
    """
    drawn = [maker.per_view * weight for maker, weight in zip(makers, weights, strict=True)]
    mean = sum(count * maker.mean_frames for count, maker in zip(drawn, makers, strict=True)) / sum(drawn)
    epochs = frames / mean / sum(drawn)
    counts = [min(len(maker.order), math.ceil(epochs * count)) for maker, count in zip(makers, drawn, strict=True)]
    size_gb = sum(count * maker.mean_frames / 2 * width * 2 / 1e9 for count, maker in zip(counts, makers, strict=True))
    room = min(1.0, most_gb / size_gb)
    return [max(1, int(count * room)) for count in counts]


class StateSampler:
    """Draws batches of kept states for ever, as Sampler draws clips; texts are spelt anew each time."""

    def __init__(
        self,
        caches: Sequence[StateCache],
        weights: Sequence[float],
        tokenizer: WhisperTokenizerFast,
        options: BatchOptions,
        seed: int,
    ) -> None:
        self._caches, self._weights, self._options, self._seed = caches, weights, options, seed
        self._targets = Targets(tokenizer, options)

    def _epoch(self, epoch: int) -> list[list[tuple[int, int]]]:
        rng = np.random.default_rng((self._seed, epoch))
        chosen: list[tuple[int, int]] = []
        for number, (cache, weight) in enumerate(zip(self._caches, self._weights, strict=True)):
            left = max(1, int(cache.per_view * weight))
            while left > 0:
                picks = rng.permutation(len(cache.spoken))[:left]
                chosen += [(number, int(index)) for index in picks]
                left -= len(picks)
        order = [chosen[place] for place in rng.permutation(len(chosen))]
        return order_batches(order, self._frames, self._options.frames, rng)

    def _frames(self, clip: tuple[int, int]) -> int:
        return 2 * int(self._caches[clip[0]].positions[clip[1]])

    def make(self, clips: Sequence[tuple[int, int]], key: tuple[int, int], _number: int) -> Batch:
        """Return the batch of ``clips``, (number of the cache, index); all chance comes from ``key``.

        Shorter clips are filled up with their last state, which is one of silence.
        """
        rng = np.random.default_rng((self._seed, *key))
        parts = [self._caches[number].states(index) for number, index in clips]
        longest = max(map(len, parts))
        states = np.stack([np.pad(part, ((0, longest - len(part)), (0, 0)), mode="edge") for part in parts])
        spoken = [self._caches[number].spoken[index] for number, index in clips]
        frames = torch.tensor([self._frames(clip) for clip in clips])
        written = write_targets(spoken, self._targets, rng)
        return Batch(torch.zeros(len(clips), 0, 0), frames, **written, states=torch.from_numpy(states))

    def batches(self, skip: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield every ``world``-th batch from ``skip * world + rank`` on."""
        return Drawer(self._epoch, self.make).batches(skip, rank, world)
