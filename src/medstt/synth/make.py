"""A synthesis recipe made into speech: sentences, voices, audio files and a manifest; resumable, on all cores.

Everything follows from the recipe's seed. A shard of utterances is complete when its JSON Lines file exists, so a killed
run goes on with the first shard that is not. Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
import random
import tomllib
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medstt.errors import DataError
from medstt.manifest import read_manifest, write_manifest
from medstt.synth.corpus import read_lines, read_sentences
from medstt.synth.grammar import Deck, Sentence, SpokenTerm, read_grammar
from medstt.synth.voice import Prosody, Speaker, Voice, held_out_voices, training_voices
from medstt.values import RATE_HZ, Language, Samples, Utterance

SHARD = 200  # utterances a worker makes before it records them as done
LISTS = ("drug", "condition", "anatomy", "procedure", "lab")


class Part(BaseModel):
    """One kind of sentence in a recipe: from text files, or from the grammar."""

    model_config = ConfigDict(extra="forbid")

    lang: Language
    kind: Literal["text", "grammar"]
    count: int = Field(gt=0, description="utterances, at most")
    files: list[str] = Field(default=[], description="kind text: file names in the texts folder")
    max_words: int = Field(14, gt=1)
    spoken_marks: float = Field(0.25, ge=0, le=1, description="kind text: share with dictated punctuation")
    drugs: bool = Field(False, description="kind grammar: sentences about drugs, or about everything else")
    drug_names: Literal["train", "held-out", "all"] = Field("train", description="kind grammar: which drugs")


class SynthRecipe(BaseModel):
    """What to say and who says it."""

    model_config = ConfigDict(extra="forbid")

    seed: int
    split: str = "train"
    voices: Literal["train", "held-out"] = "train"
    rate: tuple[int, int] = Field((140, 205), description="words a minute, from and to")
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the lexicon lends to sentences of one language; ``forbidden`` are lower-case words no text may hold."""

    lists: dict[str, tuple[SpokenTerm, ...]]
    held_out: tuple[SpokenTerm, ...]
    forbidden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance to be made: who says which sentence how, and the file it goes to."""

    id: str
    sentence: Sentence
    voice: Voice
    prosody: Prosody
    file: str


def read_recipe(path: Path) -> SynthRecipe:
    """Read a synthesis recipe; raises DataError naming the key that is wrong."""
    try:
        return SynthRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}", "Correct the recipe") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path.name}: {where}: {first['msg']}", "Correct the recipe") from error


def compose(
    recipe: SynthRecipe, vocabulary: dict[Language, Vocabulary], grammars: Path, texts: Path | None
) -> Iterator[Sentence]:
    """Yield the sentences of a recipe; parts whose text files are not there are left out (see ``missing_texts``)."""
    for index, part in enumerate(recipe.parts):
        rng = random.Random(f"{recipe.seed}/{index}")
        words = vocabulary[part.lang]
        if part.kind == "text":
            files = [texts / name for name in part.files if (texts / name).exists()] if texts else []
            found = list(read_sentences(
                read_lines(files), part.lang, forbidden=words.forbidden, max_words=part.max_words,
                spoken_marks=part.spoken_marks, seed=recipe.seed,
            ))  # fmt: skip
            yield from rng.sample(found, min(part.count, len(found)))
            continue
        lists = dict(words.lists)
        if part.drug_names != "train":
            lists["drug"] = words.held_out + (lists["drug"] if part.drug_names == "all" else ())
        decks = {name: Deck(terms, rng) for name, terms in lists.items() if terms}
        grammar = read_grammar(grammars / f"{part.lang}.toml", part.lang, LISTS)
        for _ in range(part.count):
            yield grammar.sentence(rng, decks, drugs=part.drugs)


def cast(recipe: SynthRecipe, sentences: Iterable[Sentence]) -> Iterator[Line]:
    """Give every sentence a voice, a tempo and a pitch, by the recipe's seed."""
    rng = random.Random(f"{recipe.seed}/cast")
    voices: dict[Language, list[Voice]] = {}
    for number, sentence in enumerate(sentences):
        if sentence.lang not in voices:
            choose = training_voices if recipe.voices == "train" else held_out_voices
            voices[sentence.lang] = choose(sentence.lang)
        prosody = Prosody(rng.randint(*recipe.rate), rng.randint(30, 72), rng.randint(30, 80), rng.choice((0, 0, 0, 1, 2)))
        name = f"{recipe.split}-{recipe.seed}-{number:06d}"
        file = f"audio/{number // SHARD:04d}/{name}.wav"
        yield Line(name, sentence, rng.choice(voices[sentence.lang]), prosody, file)


def trim(samples: Samples, floor: float = 1e-3) -> Samples:
    """Cut the silence before and after speech, leaving 20 ms; training and serving add their own."""
    loud = np.flatnonzero(np.abs(samples) > floor * max(1e-6, float(np.abs(samples).max(initial=0.0))) * 10)
    if not len(loud):
        return samples[:0]
    return samples[max(0, loud[0] - RATE_HZ // 50) : loud[-1] + RATE_HZ // 50]


def write_wav(path: Path, samples: Samples) -> None:
    """Write 16-bit mono WAV at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def make_shard(out: Path, number: int, lines: Sequence[Line], split: str, command: str | None) -> float:
    """Speak one shard and record it as done; returns the seconds of speech made."""
    utterances: list[Utterance] = []
    seconds = 0.0
    with Speaker(command) as speaker:
        for line in lines:
            samples = trim(speaker.speak(line.sentence.speech, line.voice, line.prosody))
            if not len(samples):
                continue
            write_wav(out / line.file, samples)
            seconds += len(samples) / RATE_HZ
            utterances.append(Utterance(
                id=line.id, audio=line.file, text=line.sentence.text, lang=line.sentence.lang, speaker=line.voice.id,
                split=split, terms=line.sentence.terms,
                tags={"tier": line.voice.tier, "voice": line.voice.id, "source": line.sentence.source},
            ))  # fmt: skip
    write_manifest(out / "shards" / f"{number:04d}.jsonl", utterances)
    return seconds


def make(
    recipe: SynthRecipe,
    vocabulary: dict[Language, Vocabulary],
    grammars: Path,
    texts: Path | None,
    out: Path,
    *,
    jobs: int,
    command: str | None = None,
    progress: Callable[[int, float], None] = lambda done, seconds: None,
) -> Path:
    """Make a recipe's speech in ``out`` and return its manifest; ``progress`` hears utterances and seconds made.

    A folder that holds another recipe's speech is refused (DataError).
    """
    lines = list(cast(recipe, compose(recipe, vocabulary, grammars, texts)))
    random.Random(recipe.seed).shuffle(lines)
    plan = hashlib.sha256(repr([(line.id, line.sentence, line.voice, line.prosody) for line in lines]).encode()).hexdigest()
    stamp = out / "plan.json"
    if stamp.exists() and json.loads(stamp.read_text())["plan"] != plan:
        raise DataError(f"{out} holds speech of another recipe, lexicon or texts", "Give a new folder, or delete this one")
    out.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"plan": plan, "utterances": len(lines), "recipe": recipe.model_dump(mode="json")}, indent=1))
    shards = list(enumerate(batched_list(lines, SHARD)))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {
            pool.submit(make_shard, out, number, shard, recipe.split, command): len(shard)
            for number, shard in shards
            if not (out / "shards" / f"{number:04d}.jsonl").exists()
        }
        progress(len(lines) - sum(waiting.values()), 0.0)
        for future in as_completed(waiting):
            progress(waiting[future], future.result())
    manifest = out / "manifest.jsonl"
    write_manifest(manifest, (row for number, _ in shards for row in read_manifest(out / "shards" / f"{number:04d}.jsonl")))
    return manifest


def batched_list(lines: Sequence[Line], size: int) -> list[Sequence[Line]]:
    """Return ``lines`` in pieces of ``size``."""
    return [lines[start : start + size] for start in range(0, len(lines), size)]
