"""A recipe carried out in a folder: caches, tokenizer, model, loop. Resumable; two runs cannot share a folder.

Knows nothing of registries or command lines.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transformers import WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.errors import ConflictError, DataError, ModelError
from medstt.train.augment import Augment, AugmentOptions
from medstt.train.batch import BatchOptions, Sampler
from medstt.train.cache import FeatureCache, open_cache
from medstt.train.dev import transcribe_cache, word_error_rates
from medstt.train.loop import Trainer
from medstt.train.model import build_model, generation_config
from medstt.train.recipe import DataSource, Recipe
from medstt.train.tokenizer import END, NO_TIMESTAMPS, START, TRANSCRIBE, train_tokenizer
from medstt.values import LANGUAGES


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run finds and keeps things: data root for relative manifests, feature cache, the run's own folder."""

    data: Path
    cache: Path
    run: Path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process; raises ConflictError if another holds it (released even by kill -9)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConflictError(f"another run is writing to {folder}", "Wait for it, or give another folder") from error
        yield


def open_caches(sources: Sequence[DataSource], places: Places, n_mels: int, jobs: int) -> list[tuple[FeatureCache, float]]:
    """Return the caches of the sources that are there, with their weights; raises DataError for a missing one."""
    caches = []
    for source in sources:
        manifest = places.data / source.manifest
        if not manifest.exists() and source.optional:
            continue
        caches.append((open_cache(manifest, places.cache, n_mels=n_mels, jobs=jobs), source.weight))
    return caches


def check_tokens(tokenizer: WhisperTokenizerFast) -> None:
    """Raise ModelError if a base lacks a token that training needs."""
    needed = [START, END, TRANSCRIBE, NO_TIMESTAMPS, "<|0.00|>", *(f"<|{lang}|>" for lang in LANGUAGES)]
    known = tokenizer.get_vocab()
    missing = [token for token in needed if token not in known]
    if missing:
        raise ModelError(f"the base model's vocabulary lacks {', '.join(missing)}", "Use a multilingual Whisper checkpoint")


def start_model(
    recipe: Recipe, caches: Sequence[FeatureCache], places: Places, base: Path | None
) -> tuple[WhisperForConditionalGeneration, WhisperTokenizerFast]:
    """Return the model to train and its tokenizer: the base's, or new ones (the tokenizer is kept in the run's folder)."""
    if base is not None:
        tokenizer = WhisperTokenizerFast.from_pretrained(base)
        check_tokens(tokenizer)
        model = WhisperForConditionalGeneration.from_pretrained(base, dropout=recipe.dropout)
        return model.float(), tokenizer
    folder = places.run / "tokenizer"
    if (folder / "tokenizer.json").exists():
        tokenizer = WhisperTokenizerFast.from_pretrained(folder)
    else:
        texts = (row.text for cache in caches for row in cache.utterances)
        tokenizer = train_tokenizer(texts, recipe.shape.vocabulary, folder)
    shape = recipe.shape.model_dump(exclude={"vocabulary"})
    return build_model(tokenizer, shape, recipe.dropout), tokenizer


def recipe_digest(recipe: Recipe) -> str:
    """Return the SHA-256 of a recipe's values."""
    return hashlib.sha256(json.dumps(recipe.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def run(
    recipe: Recipe,
    places: Places,
    base: Path | None,
    *,
    jobs: int = 2,
    report: Callable[[dict[str, float]], None] = lambda row: None,
    dev_count: int = 60,
) -> tuple[WhisperForConditionalGeneration, WhisperTokenizerFast]:
    """Train (or go on training) a recipe; returns the trained model and its tokenizer."""
    with locked(places.run):
        caches = open_caches(recipe.train, places, 80, jobs)
        if not caches:
            raise DataError(f"recipe {recipe.name}: no training manifest is there", "Make one with `medstt synth`")
        model, tokenizer = start_model(recipe, [cache for cache, _ in caches], places, base)
        model.generation_config = generation_config(tokenizer)
        noises = tuple(
            cache.features(index) for cache, _ in open_caches(recipe.noise, places, 80, jobs)
            for index in range(len(cache.utterances))
        )  # fmt: skip
        sampler = Sampler(
            [cache for cache, _ in caches], [weight for _, weight in caches], tokenizer,
            Augment(AugmentOptions(strength=recipe.augment), noises),
            BatchOptions(frames=recipe.frames, joined=recipe.joined, empty=recipe.empty), recipe.seed, recipe.short_first,
        )  # fmt: skip
        teacher = None
        if recipe.loss.distil > 0 and base is not None:
            teacher = WhisperForConditionalGeneration.from_pretrained(base)
        trainer = Trainer(model, recipe, places.run, teacher)
        devs = open_caches(recipe.dev, places, 80, jobs)

        def evaluate() -> dict[str, float]:
            scores: dict[str, float] = {}
            for number, (cache, _) in enumerate(devs):
                texts = transcribe_cache(model, tokenizer, cache, range(min(dev_count, len(cache.utterances))))
                rates = word_error_rates(cache, texts, "tier")
                scores |= {f"dev{number} {name}": rate for name, rate in rates.items()}
            return scores

        batches = sampler.batches(skip=trainer.step * recipe.accumulate)
        trainer.train(batches, report=report, evaluate=evaluate if devs else None)
        return model, tokenizer
