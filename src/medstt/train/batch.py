"""From cached features and texts to padded batches: order, joining, augmentation, targets.

Everything drawn follows from (seed, epoch, batch number), so a resumed run sees what an unbroken one would have seen.
Knows nothing of models or optimisers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import WhisperTokenizerFast

from medstt.engine.letter import letters_of
from medstt.feature import Features, scale
from medstt.train.augment import FLOOR, Augment, AugmentOptions, add_silence
from medstt.train.cache import FeatureCache
from medstt.train.model import FULL_FRAMES, Batch
from medstt.train.tokenizer import END, NO_SPEECH, NO_TIMESTAMPS, START, TRANSCRIBE
from medstt.values import Utterance

MAX_FRAMES = 2400  # longest joined clip
MEAN_PAUSE = 50  # frames of silence before an utterance, on average

NO_AUGMENT = Augment(AugmentOptions(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))

Pair = tuple[int, int]  # (number of the cache, index of the utterance)
Clip = tuple[Pair, ...]  # utterances said one after another


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


@dataclass(frozen=True, slots=True)
class Item:
    """One clip of a batch: features before scaling, text, and where speech starts and ends in frames."""

    features: Features
    text: str
    lang: str
    start: int
    end: int


class Targets:
    """Texts to decoder input and labels, with Whisper's special tokens."""

    def __init__(self, tokenizer: WhisperTokenizerFast, options: BatchOptions) -> None:
        ids = tokenizer.convert_tokens_to_ids
        self._tokenizer = tokenizer
        self._options = options
        self._end, self._start, self._task = ids(END), ids(START), ids(TRANSCRIBE)
        self._no_times, self._no_speech, self._zero = ids(NO_TIMESTAMPS), ids(NO_SPEECH), ids("<|0.00|>")
        self._languages = {lang: ids(f"<|{lang}|>") for lang in ("en", "de")}

    def encode(self, item: Item, rng: np.random.Generator) -> tuple[list[int], list[int], int]:
        """Return decoder input and labels of equal length, and the place of the first label after the prompt.

        Labels are the next tokens; the prompt's are -100.
        """
        options = self._options
        words: list[int] = self._tokenizer(f" {item.text}", add_special_tokens=False).input_ids if item.text else []
        timed = bool(words) and rng.random() < options.timestamps
        if timed:  # times are in steps of two frames (20 ms)
            words = [self._zero + item.start // 2, *words, self._zero + min(item.end // 2, 1500)]
        mode = [] if timed else [self._no_times]
        prompt = [self._start, *mode]
        if rng.random() >= options.bare_prompt:
            prompt = [self._start, self._languages[item.lang], self._task, *mode]
        sequence = [*prompt, *words, self._end]
        labels = [-100] * (len(prompt) - 1) + sequence[len(prompt) :]
        if len(prompt) > 2:
            labels[0] = self._languages[item.lang] if words else self._no_speech
        return sequence[:-1], labels, len(prompt) - 1


def collate(items: Sequence[Item], targets: Targets, rng: np.random.Generator, context: int | None) -> Batch:
    """Pad clips to the longest (or to ``context`` frames) with digital silence, and scale as serving does."""
    length = context or max(len(item.features) for item in items)
    length = -(-length // 32) * 32 if context is None else context  # few shapes: kernels are made once a shape
    features = np.full((len(items), items[0].features.shape[1], length), FLOOR, np.float32)
    sequences = [targets.encode(item, rng) for item in items]
    width = -(-max(len(tokens) for tokens, _, _ in sequences) // 4) * 4
    tokens = np.zeros((len(items), width), np.int64)
    labels = np.full((len(items), width), -100, np.int64)
    expected = np.full((len(items), width), -1.0, np.float32)
    characters = [letters_of(item.text) for item in items]
    for row, (item, (inputs, outputs, prompt)) in enumerate(zip(items, sequences, strict=True)):
        features[row, :, : len(item.features)] = item.features.T
        features[row] = scale(features[row])
        tokens[row, : len(inputs)] = inputs
        labels[row, : len(outputs)] = outputs
        said = len(outputs) - prompt - 1  # every label after the prompt but the end token
        expected[row, prompt : prompt + said] = np.linspace(item.start, item.end, 2 * said + 1)[1::2] / 2
    return Batch(
        torch.from_numpy(features), torch.tensor([len(item.features) for item in items]), torch.from_numpy(tokens),
        torch.from_numpy(labels), torch.tensor([char for row in characters for char in row], dtype=torch.long),
        torch.tensor([len(row) for row in characters]),
        torch.from_numpy(expected),
        torch.tensor([(item.end - item.start) / 2 for item in items], dtype=torch.float32),
    )  # fmt: skip


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
        self._caches, self._weights, self._options, self._seed = caches, weights, options, seed
        self._augment, self._targets, self._short_first = augment, Targets(tokenizer, options), short_first

    def _choose(self, epoch: int, rng: np.random.Generator) -> list[Clip]:
        """Return the clips of an epoch in random order: utterances by weight, some joined to a neighbour."""
        chosen: list[Pair] = []
        for number, (cache, weight) in enumerate(zip(self._caches, self._weights, strict=True)):
            usable = np.flatnonzero((cache.frames > 30) & (cache.frames <= MAX_FRAMES))
            left = int(len(usable) * weight)
            while left > 0:
                picks = rng.permutation(usable)[:left]
                chosen += [(number, int(index)) for index in picks]
                left -= len(picks)
        order = [chosen[index] for index in rng.permutation(len(chosen))]
        clips: list[Clip] = []
        for pair in order:
            clip = (*clips[-1], pair) if clips else (pair,)
            joins = clips and rng.random() < self._options.joined and self._length(clip) <= MAX_FRAMES
            if joins and self._row(pair).lang == self._row(clips[-1][0]).lang:
                clips[-1] = clip
            else:
                clips.append((pair,))
        return clips

    def _row(self, pair: Pair) -> Utterance:
        return self._caches[pair[0]].utterances[pair[1]]

    def _length(self, clip: Clip) -> int:
        return sum(int(self._caches[number].frames[index]) + MEAN_PAUSE for number, index in clip)

    def _epoch(self, epoch: int) -> list[list[Clip]]:
        """Return the batches of an epoch: clips of like length together, batches in random order."""
        rng = np.random.default_rng((self._seed, epoch))
        order = self._choose(epoch, rng)
        opening = len(order) // 6 if epoch == 0 and self._short_first else 0
        if opening:
            by_length = sorted(order, key=self._length)
            first = set(by_length[:opening])
            order = [clip for clip in order if clip not in first]
            batches = self._fill(by_length[:opening])
        else:
            batches = []
        # Sorted within a window: like lengths together without a fixed company.
        windows = [sorted(order[start : start + 1000], key=self._length) for start in range(0, len(order), 1000)]
        later = [batch for window in windows for batch in self._fill(window)]
        return batches + [later[index] for index in rng.permutation(len(later))]

    def _fill(self, clips: Sequence[Clip]) -> list[list[Clip]]:
        batches: list[list[Clip]] = []
        for clip in clips:
            if not batches or (len(batches[-1]) + 1) * self._length(clip) > self._options.frames:
                batches.append([])
            batches[-1].append(clip)
        return batches

    def _item(self, clip: Clip, share: float, rng: np.random.Generator) -> Item:
        augment = self._augment if rng.random() < share else NO_AUGMENT
        parts: list[Features] = []
        for number, index in clip:
            pause = int(rng.integers(15, 2 * MEAN_PAUSE)) if parts else 0
            parts.append(add_silence(augment.speech(self._caches[number].features(index), rng), pause, 0))
        speech = np.concatenate(parts)
        text = " ".join(self._row(pair).text for pair in clip)
        before, after = int(rng.integers(0, 40)), int(rng.integers(0, 60))
        end = before + len(speech)
        channel = augment.channel(add_silence(speech, before, after), rng)
        return Item(channel, text, self._row(clip[0]).lang, before, end)

    def _empty(self, longest: int, rng: np.random.Generator) -> Item:
        n_mels = self._caches[0].features(0).shape[1]
        frames = int(rng.integers(50, longest + 1))
        noise = self._augment.noise(frames, n_mels, rng) + np.float32(rng.uniform(-6, 0))
        return Item(
            noise if rng.random() < 0.8 else np.full_like(noise, FLOOR), "", str(rng.choice(["en", "de"])), 0, 0
        )

    def make(self, clips: Sequence[Clip], key: tuple[int, ...], share: float = 1.0) -> Batch:
        """Return the batch of ``clips``, a ``share`` of them augmented; all chance comes from ``key``."""
        rng = np.random.default_rng((self._seed, *key))
        full = rng.random() < self._options.full_context
        if full:
            clips = clips[: max(1, self._options.frames // FULL_FRAMES)]
        items = [self._item(clip, share, rng) for clip in clips]
        longest = max(len(item.features) for item in items)
        items = [self._empty(longest, rng) if rng.random() < self._options.empty else item for item in items]
        return collate(items, self._targets, rng, FULL_FRAMES if full else None)

    def batches(self, skip: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield every ``world``-th batch from ``skip * world + rank`` on, prepared a few ahead by a thread."""
        ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=4)
        stop = threading.Event()

        def produce() -> None:
            number, epoch = 0, 0
            try:
                while not stop.is_set():
                    plan = self._epoch(epoch)
                    for index, clips in enumerate(plan):
                        if number >= skip * world and number % world == rank:
                            share = min(1.0, number / world / max(1, self._options.augment_from))
                            batch = self.make(clips, (epoch, index), share)
                            while not stop.is_set():
                                try:
                                    ready.put(batch, timeout=0.2)
                                    break
                                except queue.Full:
                                    continue
                        if stop.is_set():
                            return
                        number += 1
                    epoch += 1
            except BaseException as error:  # handed to the consumer, which raises it
                ready.put(error)

        threading.Thread(target=produce, daemon=True).start()
        try:
            while True:
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
