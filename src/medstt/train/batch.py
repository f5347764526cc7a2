"""From cached features and texts to padded batches: order, joining, augmentation, targets.

Everything drawn follows from (seed, epoch, batch number), so a resumed run sees what an unbroken one would have seen.
Knows nothing of models or optimisers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import WhisperTokenizerFast

from medstt.engine.letter import letters_of
from medstt.feature import Features, scale
from medstt.train.augment import FLOOR, Augment
from medstt.train.cache import FeatureCache
from medstt.train.clip import Clip, Clips, Item, Spoken
from medstt.train.draw import Drawer, order_batches
from medstt.train.model import FULL_FRAMES, Batch
from medstt.train.tokenizer import END, NO_SPEECH, NO_TIMESTAMPS, START, TRANSCRIBE


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How batches are made; shares are of clips (0-1)."""

    frames: int = 10_000  # frames in a batch, padding included: what its memory and time follow
    joined: float = 0.12  # clips made of several utterances, so that long ones are known too
    timestamps: float = 0.3  # targets with times
    bare_prompt: float = 0.15  # targets without language and task, as tools send to small vocabularies
    empty: float = 0.03  # noise and silence with nothing to write
    augment_from: int = 0  # step from which every clip is augmented; alignment is learned on clean clips first
    full_context: float = 0.1  # batches padded to 30 s, so that tools that pad work too


class Targets:
    """Texts to decoder input and labels, with Whisper's special tokens."""

    def __init__(self, tokenizer: WhisperTokenizerFast, options: BatchOptions) -> None:
        ids = tokenizer.convert_tokens_to_ids
        self._tokenizer = tokenizer
        self._options = options
        self._end, self._start, self._task = ids(END), ids(START), ids(TRANSCRIBE)
        self._no_times, self._no_speech, self._zero = ids(NO_TIMESTAMPS), ids(NO_SPEECH), ids("<|0.00|>")
        self._languages = {lang: ids(f"<|{lang}|>") for lang in ("en", "de")}

    def encode(self, spoken: Spoken, rng: np.random.Generator) -> tuple[list[int], list[int], int]:
        """Return decoder input and labels of equal length, and the place of the first label after the prompt.

        Labels are the next tokens; the prompt's are -100.
        """
        options = self._options
        words: list[int] = self._tokenizer(f" {spoken.text}", add_special_tokens=False).input_ids if spoken.text else []
        timed = bool(words) and rng.random() < options.timestamps
        if timed:  # times are in steps of two frames (20 ms)
            words = [self._zero + spoken.start // 2, *words, self._zero + min(spoken.end // 2, 1500)]
        mode = [] if timed else [self._no_times]
        prompt = [self._start, *mode]
        if rng.random() >= options.bare_prompt:
            prompt = [self._start, self._languages[spoken.lang], self._task, *mode]
        sequence = [*prompt, *words, self._end]
        labels = [-100] * (len(prompt) - 1) + sequence[len(prompt) :]
        if len(prompt) > 2:
            labels[0] = self._languages[spoken.lang] if words else self._no_speech
        return sequence[:-1], labels, len(prompt) - 1


def pad(clips: Sequence[Features], context: int | None) -> Features:
    """Pad clips to the longest (or to ``context`` frames) with digital silence, and scale as serving does.

    Returns (clips, n_mels, T), T even.
    """
    length = context or -(-max(map(len, clips)) // 32) * 32  # few shapes: kernels are made once a shape
    padded = np.full((len(clips), clips[0].shape[1], length), FLOOR, np.float32)
    for row, clip in enumerate(clips):
        padded[row, :, : len(clip)] = clip.T
        padded[row] = scale(padded[row])
    return padded


def write_targets(clips: Sequence[Spoken], targets: Targets, rng: np.random.Generator) -> dict[str, Any]:
    """Return the tensors of a batch (see Batch) that follow from what is said in its clips."""
    sequences = [targets.encode(spoken, rng) for spoken in clips]
    width = -(-max(len(tokens) for tokens, _, _ in sequences) // 4) * 4
    tokens = np.zeros((len(clips), width), np.int64)
    labels = np.full((len(clips), width), -100, np.int64)
    expected = np.full((len(clips), width), -1.0, np.float32)
    characters = [letters_of(spoken.text) for spoken in clips]
    for row, (spoken, (inputs, outputs, prompt)) in enumerate(zip(clips, sequences, strict=True)):
        tokens[row, : len(inputs)] = inputs
        labels[row, : len(outputs)] = outputs
        said = len(outputs) - prompt - 1  # every label after the prompt but the end token
        expected[row, prompt : prompt + said] = np.linspace(spoken.start, spoken.end, 2 * said + 1)[1::2] / 2
    return {
        "tokens": torch.from_numpy(tokens), "labels": torch.from_numpy(labels),
        "characters": torch.tensor([char for row in characters for char in row], dtype=torch.long),
        "character_counts": torch.tensor([len(row) for row in characters]),
        "expected": torch.from_numpy(expected),
        "lengths": torch.tensor([(spoken.end - spoken.start) / 2 for spoken in clips], dtype=torch.float32),
    }  # fmt: skip


def collate(items: Sequence[Item], targets: Targets, rng: np.random.Generator, context: int | None) -> Batch:
    """Return clips as a batch, padded to the longest or to ``context`` frames."""
    written = write_targets([item.spoken for item in items], targets, rng)
    features = torch.from_numpy(pad([item.features for item in items], context))
    return Batch(features, torch.tensor([len(item.features) for item in items]), **written)


class TextSampler:
    """Draws batches of bare text: a word that the decoder reads without audio costs a tenth of one that it hears."""

    def __init__(self, caches: Sequence[FeatureCache], tokenizer: WhisperTokenizerFast, count: int, seed: int) -> None:
        ids = tokenizer.convert_tokens_to_ids
        rows = [row for cache in caches for row in cache.utterances if row.text]
        words = tokenizer([f" {row.text}" for row in rows], add_special_tokens=False).input_ids
        prompts = {lang: ids([START, f"<|{lang}|>", TRANSCRIBE, NO_TIMESTAMPS]) for lang in {row.lang for row in rows}}
        self._end, self._count, self._seed = ids(END), count, seed
        pairs = [(prompts[row.lang], text) for row, text in zip(rows, words, strict=True)]
        self._rows = sorted(pairs, key=lambda pair: len(pair[1]))

    def make(self, step: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return decoder input and labels (count, L) of one process's step; sentences of like length."""
        rng = np.random.default_rng((self._seed, 7, step, rank))
        start = int(rng.integers(0, max(1, len(self._rows) - self._count)))
        rows = self._rows[start : start + self._count]
        width = max(len(prompt) + len(words) for prompt, words in rows)
        tokens = torch.zeros(len(rows), width, dtype=torch.long)
        labels = torch.full((len(rows), width), -100, dtype=torch.long)
        for number, (prompt, words) in enumerate(rows):
            tokens[number, : len(prompt) + len(words)] = torch.tensor([*prompt, *words])
            labels[number, len(prompt) - 1 : len(prompt) + len(words)] = torch.tensor([*words, self._end])
        return tokens, labels


class Sampler:
    """Draws batches for ever: shuffled epochs, clips of like length together."""

    def __init__(
        self,
        caches: Sequence[FeatureCache],
        weights: Sequence[float],
        tokenizer: WhisperTokenizerFast,
        augment: Augment,
        options: BatchOptions,
        seed: int,
        short_first: bool = False,
    ) -> None:
        """``weights`` say how often an epoch holds each cache's utterances (0.5: every second one, 2: twice).

        ``short_first`` begins the first epoch with the shortest sixth: alignment is learned on short clips first.
        """
        self._clips = Clips(caches, weights, augment, options.joined)
        self._options, self._seed, self._short_first = options, seed, short_first
        self._targets = Targets(tokenizer, options)

    def _epoch(self, epoch: int) -> list[list[Clip]]:
        rng = np.random.default_rng((self._seed, epoch))
        clips = self._clips.choose(rng)
        opening = len(clips) // 6 if epoch == 0 and self._short_first else 0
        return order_batches(clips, self._clips.length, self._options.frames, rng, opening)

    def make(self, clips: Sequence[Clip], key: tuple[int, int], number: int) -> Batch:
        """Return the batch of ``clips``, the ``number``-th of a process; all chance comes from ``key``."""
        rng = np.random.default_rng((self._seed, *key))
        share = min(1.0, number / self._options.augment_from) if self._options.augment_from else 1.0
        full = rng.random() < self._options.full_context
        if full:
            clips = clips[: max(1, self._options.frames // FULL_FRAMES)]
        items = [self._clips.item(clip, share, rng) for clip in clips]
        longest = max(len(item.features) for item in items)
        items = [self._clips.empty(longest, rng) if rng.random() < self._options.empty else item for item in items]
        return collate(items, self._targets, rng, FULL_FRAMES if full else None)

    def batches(self, skip: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield every ``world``-th batch from ``skip * world + rank`` on."""
        return Drawer(self._epoch, self.make).batches(skip, rank, world)
