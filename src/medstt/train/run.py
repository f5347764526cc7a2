"""A recipe carried out in a folder: caches, tokenizer, model, loop. Resumable; two runs cannot share a folder.

Knows nothing of registries or command lines.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessException, spawn
from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.disk import write_atomically
from medstt.engine.letter import HEAD
from medstt.errors import ConflictError, DataError, MedsttError, ModelError, OptionError, ResourceError
from medstt.process import end_with_parent
from medstt.registry.card import read_card
from medstt.registry.digest import CARD
from medstt.train.adapter import add_adapters, merge_adapters, scale_adapters
from medstt.train.augment import Augment
from medstt.train.batch import BatchOptions, Sampler, TextSampler
from medstt.train.cache import FeatureCache, open_cache
from medstt.train.check import check_rows
from medstt.train.dev import missed_terms, transcribe_cache, word_error_rates
from medstt.train.export import load_head, save_head, scale_head
from medstt.train.kept import augment_options, check_kept, keeps_states, open_kept
from medstt.train.loop import LOG, Trainer
from medstt.train.memory import OutOfMemory, carry_out, fit, is_out_of_memory
from medstt.train.model import AUDIO_CONTEXT, CtcHead, build_model, generation_config
from medstt.train.recipe import DataSource, Recipe
from medstt.train.state import StateCache, StateSampler
from medstt.train.stop import DEV_SCORE, read_log
from medstt.train.tokenizer import END, NO_TIMESTAMPS, START, TRANSCRIBE, train_tokenizer
from medstt.values import LANGUAGES

IDENTITY = "run.json"  # in the run's folder: what decides which model its checkpoint is of
FAILURE = "failure.json"  # in the run's folder: what stopped one of several processes
EXPORT = "export"  # folder of the finished model inside the run's
MOST_CTC = 1.5  # nats a character of a new head's training loss; heads that hear have 0.5 to 1.4, deaf ones 3 and more
LORA_SCALES = (0.5, 0.75, 1.0, 1.25)
Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run finds and keeps things: data root for relative manifests, feature cache, the run's own folder."""

    data: Path
    cache: Path
    run: Path


def check_identity(recipe: Recipe, folder: Path) -> None:
    """Record which model a folder trains; raises DataError where its checkpoint is of another.

    Steps, rates and data may change from one call to the next; name, base, method and shape may not.
    """
    path = folder / IDENTITY
    wanted = recipe.model_dump(mode="json", include={"name", "base", "method", "lora_rank", "shape"})
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in wanted if old.get(key) != wanted[key]]
        if changed:
            raise DataError(
                f"{folder} holds a run with another {', '.join(changed)}",
                "Give another --run folder, or delete this one",
            )
    else:
        write_atomically(path, json.dumps(wanted, indent=1) + "\n")


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


def open_caches(
    sources: Sequence[DataSource], places: Places, n_mels: int, jobs: int
) -> list[tuple[FeatureCache, float]]:
    """Return the caches of the sources that are there, with their weights; raises DataError for a missing one."""
    return [
        (open_cache(places.data / source.manifest, places.cache, n_mels=n_mels, jobs=jobs), source.weight)
        for source in present(sources, places)
    ]


def present(sources: Sequence[DataSource], places: Places) -> list[DataSource]:
    """Return the sources without the optional ones whose manifest is missing."""
    return [source for source in sources if not source.optional or (places.data / source.manifest).exists()]


def check_tokens(tokenizer: WhisperTokenizerFast) -> None:
    """Raise ModelError if a base lacks a token that training needs."""
    needed = [START, END, TRANSCRIBE, NO_TIMESTAMPS, "<|0.00|>", *(f"<|{lang}|>" for lang in LANGUAGES)]
    known = tokenizer.get_vocab()
    missing = [token for token in needed if token not in known]
    if missing:
        raise ModelError(
            f"the base model's vocabulary lacks {', '.join(missing)}", "Use a multilingual Whisper checkpoint"
        )


def start_model(
    recipe: Recipe, places: Places, base: Path | None
) -> tuple[WhisperForConditionalGeneration, WhisperTokenizerFast]:
    """Return the model to train and its tokenizer: the base's, or a new model for the run's own tokenizer."""
    if base is not None:
        tokenizer = WhisperTokenizerFast.from_pretrained(base)
        check_tokens(tokenizer)
        model = WhisperForConditionalGeneration.from_pretrained(base, dropout=recipe.dropout)
        return model.float(), tokenizer
    tokenizer = WhisperTokenizerFast.from_pretrained(places.run / "tokenizer")
    shape = recipe.shape.model_dump(exclude={"vocabulary"})
    return build_model(tokenizer, shape, recipe.dropout), tokenizer


def recipe_digest(recipe: Recipe) -> str:
    """Return the SHA-256 of a recipe's values."""
    return hashlib.sha256(json.dumps(recipe.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def prepare(recipe: Recipe, places: Places, base: Path | None, jobs: int) -> None:
    """Make what all processes of a run read: feature caches and, for a new model, the tokenizer."""
    check_kept(recipe, base is not None and hears_short_clips(base))
    if base is None and recipe.method != "full":
        raise OptionError(
            f"recipe {recipe.name}: method = {recipe.method!r} needs a model to start from", "Name it as base"
        )
    n_mels = config_of(recipe, base).num_mel_bins
    caches = [cache for cache, _ in open_caches(recipe.train, places, n_mels, jobs)]
    if not caches:
        raise DataError(f"recipe {recipe.name}: no training manifest is there", "Make one with `medstt synth`")
    open_caches([*recipe.noise, *recipe.dev], places, n_mels, jobs)
    if base is None and not (places.run / "tokenizer" / "tokenizer.json").exists():
        texts = (row.text for cache in caches for row in cache.utterances)
        train_tokenizer(texts, recipe.shape.vocabulary, places.run / "tokenizer")
    tokenizer = WhisperTokenizerFast.from_pretrained(base or places.run / "tokenizer")
    for source, cache in zip(present(recipe.train, places), caches, strict=True):
        check_rows(source.manifest, cache, tokenizer, config_of(recipe, base).max_target_positions)


def config_of(recipe: Recipe, base: Path | None) -> WhisperConfig:
    """Return the configuration of the model to train, without loading it."""
    if base is not None:
        return WhisperConfig.from_pretrained(base)
    shape = recipe.shape.model_dump(exclude={"vocabulary"})
    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)  # any valid ones
    return WhisperConfig(vocab_size=recipe.shape.vocabulary, **ids, **shape)


def open_trainer(recipe: Recipe, places: Places, base: Path | None) -> tuple[Trainer, WhisperTokenizerFast]:
    """Return the trainer, at its last checkpoint if there is one, and the tokenizer."""
    torch.manual_seed(recipe.seed)  # a new model's and a new head's first weights
    model, tokenizer = start_model(recipe, places, base)
    model.generation_config = generation_config(tokenizer)
    if recipe.method == "lora":
        add_adapters(model, recipe.lora_rank)
    elif recipe.method == "frozen-encoder":
        model.model.encoder.requires_grad_(False)
    teacher = None
    if recipe.loss.distil > 0 and base is not None:
        teacher = WhisperForConditionalGeneration.from_pretrained(base).float()
        if not hears_short_clips(base):
            teacher.config.update({AUDIO_CONTEXT: "full"})
    head = CtcHead(model.config.d_model)
    known = base is None or load_head(head, base)
    head.requires_grad_(trains_head(recipe, known))
    return Trainer(model, head, recipe, places.run, teacher), tokenizer


def trains_head(recipe: Recipe, known: bool) -> bool:
    """Tell whether the CTC head is trained; ``known``: it is the base's, or the model is new.

    Where the encoder changes the head follows it, even without a weight; a frozen encoder's head fits as it is.
    """
    return recipe.method != "frozen-encoder" and (known or max(recipe.loss.ctc_start, recipe.loss.ctc_end) > 0)


def export_head(recipe: Recipe, places: Places, base: Path | None, head: CtcHead) -> None:
    """Write the CTC head beside the export where it hears; one that does not would mislead the search."""
    known = base is None or load_head(CtcHead(head.project.in_features), base)
    losses = [row["ctc"] for row in read_log(places.run / LOG) if "ctc" in row]
    if known or (trains_head(recipe, known) and losses and losses[-1] <= MOST_CTC):
        save_head(head, places.run / EXPORT)
    else:
        (places.run / EXPORT / HEAD).unlink(missing_ok=True)


def hears_short_clips(base: Path) -> bool:
    """Tell whether a base was trained for clips shorter than 30 s, as its card says; stock weights have none."""
    return (base / CARD).exists() and read_card(base).audio_context == "dynamic"


def make_sampler(
    recipe: Recipe,
    places: Places,
    tokenizer: WhisperTokenizerFast,
    caches: Sequence[tuple[FeatureCache, float]],
    n_mels: int = 80,
) -> Sampler:
    """Return what draws a recipe's batches from sound."""
    noises = tuple(
        cache.features(index)
        for cache, _ in open_caches(recipe.noise, places, n_mels, 1)
        for index in range(len(cache.utterances))
    )
    return Sampler(
        [cache for cache, _ in caches], [weight for _, weight in caches], tokenizer,
        Augment(augment_options(recipe), noises), batch_options(recipe), recipe.seed, recipe.short_first,
    )  # fmt: skip


def batch_options(recipe: Recipe) -> BatchOptions:
    """Return how a recipe's batches are made."""
    return BatchOptions(recipe.frames, recipe.joined, empty=recipe.empty, augment_from=recipe.augment_from)


def keep_states(
    recipe: Recipe, places: Places, base: Path, model: WhisperForConditionalGeneration, jobs: int = 1, *, aloud: bool
) -> list[tuple[StateCache, float]]:
    """Return the kept states of a recipe's training manifests, with their weights; missing ones are computed."""
    sources = [(places.data / source.manifest, source.weight) for source in present(recipe.train, places)]
    noises = [places.data / source.manifest for source in present(recipe.noise, places)]
    return open_kept(recipe, sources, noises, places.cache, base, model, jobs, tell if aloud else lambda line: None)


def tell(line: str) -> None:
    """Say something about a run beside its bar."""
    print(f"medstt: {line}", file=sys.stderr, flush=True)


def train_process(rank: int, recipe: Recipe, places: Places, base: Path | None, report: Report, dev_count: int) -> None:
    """Run one of the recipe's processes to the last step."""
    if recipe.processes > 1:
        end_with_parent()
        meeting = (places.run / "rendezvous").resolve().as_uri()
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=recipe.processes)
    trainer, tokenizer = open_trainer(recipe, places, base)
    n_mels = trainer.model.config.num_mel_bins
    caches = open_caches(recipe.train, places, n_mels, 1)
    sampler: Sampler | StateSampler
    if base is not None and keeps_states(recipe):
        kept = keep_states(recipe, places, base, trainer.model, aloud=False)
        weights = [weight for _, weight in kept]
        sampler = StateSampler([states for states, _ in kept], weights, tokenizer, batch_options(recipe), recipe.seed)
    else:
        sampler = make_sampler(recipe, places, tokenizer, caches, n_mels)
    devs = open_caches(recipe.dev, places, n_mels, 1)

    def evaluate() -> dict[str, float]:
        scores: dict[str, float] = {}
        total = 0.0
        for number, (cache, weight) in enumerate(devs):
            chosen = range(min(dev_count, len(cache.utterances)))
            texts = transcribe_cache(trainer.model, tokenizer, cache, chosen)
            rates = word_error_rates(cache, texts, "tier")
            terms = missed_terms(cache, texts)
            scores |= {f"dev{number} {name}": rate for name, rate in rates.items()} | {f"dev{number} terms": terms}
            total += weight * (float(np.mean(list(rates.values()))) + recipe.term_weight * terms)
        return scores | {DEV_SCORE: total / sum(weight for _, weight in devs)}

    batches = sampler.batches(trainer.step * recipe.accumulate, trainer.rank, trainer.world)
    texts = None
    if recipe.loss.text > 0:
        texts = TextSampler([cache for cache, _ in caches], tokenizer, recipe.text_batch, recipe.seed)
    trainer.train(batches, texts=texts, report=report, evaluate=evaluate if devs else None)
    if recipe.processes > 1:
        dist.destroy_process_group()


def run_processes(arguments: tuple[Recipe, Places, Path | None, Report, int]) -> None:
    """Run a recipe's processes; raises what stopped the first of them, as one process alone would."""
    recipe, places = arguments[:2]
    failure = places.run / FAILURE
    failure.unlink(missing_ok=True)
    (places.run / "rendezvous").unlink(missing_ok=True)
    killed = count_memory_kills()
    try:
        spawn(guarded_process, arguments, recipe.processes)  # type: ignore[no-untyped-call]
    except ProcessException as error:
        if failure.exists():
            found = json.loads(failure.read_text(encoding="utf-8"))
            if found["memory"]:
                raise OutOfMemory(found["what"]) from error
            raise ResourceError(found["what"], found["remedy"]) from error
        if count_memory_kills() > killed:
            raise OutOfMemory("the system ended a training process for lack of memory") from error
        raise


def guarded_process(
    rank: int, recipe: Recipe, places: Places, base: Path | None, report: Report, dev_count: int
) -> None:
    """Run one of several processes; what stops it is written down for the parent, which sees no exceptions."""
    try:
        train_process(rank, recipe, places, base, report, dev_count)
    except (MedsttError, MemoryError, RuntimeError) as error:
        if isinstance(error, MedsttError) or is_out_of_memory(error):
            what, remedy = (error.what, error.remedy) if isinstance(error, MedsttError) else (str(error), "")
            found = {"memory": is_out_of_memory(error), "what": what, "remedy": remedy}
            write_atomically(places.run / FAILURE, json.dumps(found))
        raise


def count_memory_kills() -> int:
    """Return how many processes the system has ended for lack of memory since it started; 0 where it does not say."""
    counters = Path("/proc/vmstat")
    lines = counters.read_text(encoding="ascii").splitlines() if counters.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def run(
    recipe: Recipe, places: Places, base: Path | None, *, jobs: int = 2, report: Report = print, dev_count: int = 60
) -> tuple[WhisperForConditionalGeneration, WhisperTokenizerFast]:
    """Train (or go on training) a recipe; returns the trained model and its tokenizer.

    ``report`` must be a module's function: it is called in the first process of the run.
    """
    with locked(places.run):
        check_identity(recipe, places.run)
        prepare(recipe, places, base, jobs)

        def attempt(plan: Recipe) -> None:
            if base is not None and keeps_states(plan):
                model = WhisperForConditionalGeneration.from_pretrained(base).float()
                keep_states(plan, places, base, model, jobs, aloud=True)
            arguments = (plan, places, base, report, dev_count)
            if recipe.processes > 1:
                run_processes(arguments)
            else:
                train_process(0, *arguments)

        recipe = carry_out(fit(recipe, config_of(recipe, base)), places.run, attempt)
        trainer, tokenizer = open_trainer(recipe, places, base)
        if recipe.patience:
            trainer.load_best()
        if recipe.method == "lora":
            devs = [cache for cache, _ in open_caches(recipe.dev, places, trainer.model.config.num_mel_bins, 1)]
            scale = merge_best(trainer.model, tokenizer, devs, dev_count)
            if base is not None:
                scale_head(trainer.head, base, scale)
        export_head(recipe, places, base, trainer.head)
        return trainer.model, tokenizer


def merge_best(
    model: WhisperForConditionalGeneration,
    tokenizer: WhisperTokenizerFast,
    devs: Sequence[FeatureCache],
    dev_count: int,
) -> float:
    """Merge the adapters at the scale with the fewest word errors on the dev sets (1 without any); return the scale."""
    scores: dict[float, float] = {}
    for scale in LORA_SCALES if devs else ():
        scale_adapters(model, scale)
        rates = [
            word_error_rates(
                cache, transcribe_cache(model, tokenizer, cache, range(min(dev_count, len(cache.utterances)))), ""
            )
            for cache in devs
        ]
        scores[scale] = float(np.mean([rate for group in rates for rate in group.values()]))
    best = min(scores, key=lambda scale: scores[scale]) if scores else 1.0
    scale_adapters(model, best)
    merge_adapters(model)
    return best
