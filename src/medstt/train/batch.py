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

from medstt.feature import Features, scale
from medstt.train.augment import FLOOR, Augment, add_silence
from medstt.train.cache import FeatureCache
from medstt.train.model import Batch, characters_of
from medstt.train.tokenizer import END, NO_SPEECH, NO_TIMESTAMPS, START, TRANSCRIBE

FULL_FRAMES = 3000  # 30 s
MAX_FRAMES = 2400  # longest joined clip


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How batches are made; shares are of clips (0-1)."""

    frames: int = 10_000  # frames in a batch, padding included: what its memory and time follow
    joined: float = 0.12  # clips made of several utterances, so that long ones are known too
    timestamps: float = 0.3  # targets with times
    bare_prompt: float = 0.15  # targets without language and task, as tools send to small vocabularies
    empty: float = 0.03  # noise and silence with nothing to write
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

    def encode(self, item: Item, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Return decoder input and labels of equal length (labels are the next tokens; the prompt's are -100)."""
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
        return sequence[:-1], labels


def collate(items: Sequence[Item], targets: Targets, rng: np.random.Generator, context: int | None) -> Batch:
    """Pad clips to the longest (or to ``context`` frames) with digital silence, and scale as serving does."""
    length = context or max(len(item.features) for item in items)
    length += length % 2
    features = np.full((len(items), items[0].features.shape[1], length), FLOOR, np.float32)
    sequences = [targets.encode(item, rng) for item in items]
    width = max(len(tokens) for tokens, _ in sequences)
    tokens = np.zeros((len(items), width), np.int64)
    labels = np.full((len(items), width), -100, np.int64)
    characters = [characters_of(item.text) for item in items]
    for row, (item, (inputs, outputs)) in enumerate(zip(items, sequences, strict=True)):
        features[row, :, : len(item.features)] = item.features.T
        features[row] = scale(features[row])
        tokens[row, : len(inputs)] = inputs
        labels[row, : len(outputs)] = outputs
    return Batch(
        torch.from_numpy(features), torch.tensor([len(item.features) for item in items]), torch.from_numpy(tokens),
        torch.from_numpy(labels), torch.tensor([char for row in characters for char in row], dtype=torch.long),
        torch.tensor([len(row) for row in characters]),
    )  # fmt: skip


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

        ``short_first`` orders the first epoch by length: alignment is learned on short clips first.
        """
        self._caches, self._weights, self._options, self._seed = caches, weights, options, seed
        self._augment, self._targets, self._short_first = augment, Targets(tokenizer, options), short_first

    def _epoch(self, epoch: int) -> list[list[tuple[int, int]]]:
        rng = np.random.default_rng((self._seed, epoch))
        chosen: list[tuple[int, int]] = []
        for number, (cache, weight) in enumerate(zip(self._caches, self._weights, strict=True)):
            usable = np.flatnonzero((cache.frames > 30) & (cache.frames <= MAX_FRAMES))
            count = int(len(usable) * weight)
            picks = np.concatenate([rng.permutation(usable) for _ in range(-(-count // max(1, len(usable))))] or [usable])
            chosen += [(number, int(index)) for index in picks[:count]]
        length = {pair: int(self._caches[pair[0]].frames[pair[1]]) for pair in chosen}
        order = [chosen[index] for index in rng.permutation(len(chosen))]
        if epoch == 0 and self._short_first:
            order.sort(key=lambda pair: length[pair])
        batches: list[list[tuple[int, int]]] = []
        for start in range(0, len(order), 1000):  # sort within a window: like lengths without a fixed order
            window = sorted(order[start : start + 1000], key=lambda pair: length[pair])
            batch: list[tuple[int, int]] = []
            for pair in window:
                if batch and (len(batch) + 1) * (length[pair] + 60) > self._options.frames:
                    batches.append(batch)
                    batch = []
                batch.append(pair)
            batches.append(batch)
        if not (epoch == 0 and self._short_first):
            batches = [batches[index] for index in rng.permutation(len(batches))]
        return batches

    def _item(self, pair: tuple[int, int], rng: np.random.Generator) -> Item:
        cache, index = self._caches[pair[0]], pair[1]
        row = cache.utterances[index]
        speech = self._augment.speech(cache.features(index), rng)
        text = row.text
        while rng.random() < self._options.joined:
            other = int(rng.integers(len(cache.utterances)))
            more = cache.utterances[other]
            if more.lang != row.lang or not 0 < cache.frames[other] < MAX_FRAMES - len(speech) - 200:
                break
            pause = int(rng.integers(15, 80))
            speech = np.concatenate([add_silence(speech, 0, pause), self._augment.speech(cache.features(other), rng)])
            text = f"{text} {more.text}"
        before, after = int(rng.integers(0, 40)), int(rng.integers(0, 60))
        end = before + len(speech)
        return Item(self._augment.channel(add_silence(speech, before, after), rng), text, row.lang, before, end)

    def _empty(self, rng: np.random.Generator) -> Item:
        n_mels = self._caches[0].features(0).shape[1]
        frames = int(rng.integers(60, 800))
        noise = self._augment.noise(frames, n_mels, rng) + np.float32(rng.uniform(-6, 0))
        return Item(noise if rng.random() < 0.8 else np.full_like(noise, FLOOR), "", str(rng.choice(["en", "de"])), 0, 0)

    def make(self, pairs: Sequence[tuple[int, int]], key: tuple[int, ...]) -> Batch:
        """Return the batch of ``pairs``; all chance comes from ``key``."""
        rng = np.random.default_rng((self._seed, *key))
        full = rng.random() < self._options.full_context
        if full:
            pairs = pairs[: max(1, self._options.frames // FULL_FRAMES)]
        items = [self._item(pair, rng) for pair in pairs]
        items = [self._empty(rng) if rng.random() < self._options.empty else item for item in items]
        return collate(items, self._targets, rng, FULL_FRAMES if full else None)

    def batches(self, skip: int = 0) -> Iterator[Batch]:
        """Yield batches from number ``skip`` on, prepared one ahead by a thread."""
        ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=4)
        stop = threading.Event()

        def produce() -> None:
            number, epoch = 0, 0
            try:
                while not stop.is_set():
                    plan = self._epoch(epoch)
                    for index, pairs in enumerate(plan):
                        if number >= skip:
                            batch = self.make(pairs, (epoch, index))
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
