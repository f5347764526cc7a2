"""Sets of a benchmark that are spoken by synthesisers: what is planned and its digest, the speech, long recordings.

The digest is that of what is asked for: ids, texts as written and as read, voices, tempo, noise, how they are joined.
Samples are no part of it, since another version of a synthesiser makes others of the same plan; a run records the
digest of the files it was asked about (see ``item.digest_sound``). Knows nothing of systems or scores.
"""

from __future__ import annotations

import hashlib
import json
import random
import wave
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from medstt.errors import DataError
from medstt.evaluate.clip import write_wav
from medstt.manifest import read_manifest, write_manifest
from medstt.synth.compose import Line, builtin_grammar_folder
from medstt.synth.compose import cast as cast_lines
from medstt.synth.grammar import Sentence, SpokenTerm
from medstt.synth.make import make_lines, plan_lines
from medstt.synth.recipe import SynthRecipe, read_recipe
from medstt.synth.vocabulary import DRUG_KINDS, SPEAKABLE, Vocabulary, spoken_forms
from medstt.values import LANGUAGES, RATE_HZ, Language, Samples, Utterance
from medstt.vocab import load_lexicon

PAUSE_MS = (250, 1500)  # between the sentences of a long recording
SPOKEN_TOGETHER = 40  # lines that one process speaks before they count as made: a set keeps every core busy
Vocabularies = Mapping[Language, Vocabulary]
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Dictation:
    """What is dictated, and the document it asks for."""

    language: Language
    spoken: str
    written: str


@dataclass(frozen=True, slots=True)
class SpokenSet:
    """One set that a recipe describes.

    ``minutes`` joins each voice's sentences to recordings of that length; ``dictations`` are said in place of the
    recipe's parts.
    """

    file: Path
    recipe: SynthRecipe
    vocabularies: Vocabularies
    grammar: Path
    texts: Path
    minutes: float | None = None
    dictations: tuple[Dictation, ...] = ()

    def plan(self) -> list[Line]:
        """Return what is to be said, and by whom; raises DataError if that is nothing."""
        if self.dictations:
            return list(cast_twice(self.recipe, self.dictations))
        return plan_lines(self.recipe, self.vocabularies, self.grammar, self.texts)

    def digest(self) -> str:
        """Return the SHA-256 of the plan; nothing is spoken for it."""
        return digest_lines(self.plan(), self.recipe, self.minutes, self.dictations)

    def make(self, folder: Path, jobs: int, progress: Progress) -> Path:
        """Speak what is missing in ``folder`` and return the manifest of the set."""
        sentences = folder / "sentences" if self.minutes else folder
        made = make_lines(
            self.recipe, self.plan(), sentences, jobs=jobs, sounds_from=self.file.parent, progress=progress,
            shard_size=SPOKEN_TOGETHER,
        )  # fmt: skip
        if self.dictations:
            _add_documents(made, self.dictations)
        return join_recordings(made, folder, self.minutes, self.recipe.seed) if self.minutes else made


def open_spoken(
    recipe: Path,
    vocabularies: Vocabularies,
    grammar: Path | None = None,
    texts: Path | None = None,
    *,
    minutes: float | None = None,
    twins: bool = False,
    dictations: Path | None = None,
) -> SpokenSet:
    """Read a recipe as a set; ``twins`` names only drugs that have look-alikes, heard in training or not.

    Raises DataError naming the key or line that is wrong. See ``SpokenSet``.
    """
    said = pair_vocabularies(vocabularies) if twins else vocabularies
    return SpokenSet(
        recipe, read_recipe(recipe), said, grammar or builtin_grammar_folder(), texts or recipe.parent, minutes,
        read_dictations(dictations) if dictations else (),
    )  # fmt: skip


def read_dictations(path: Path) -> tuple[Dictation, ...]:
    """Read a table of dictations (language, spoken, written; \\n is a line break); raises DataError naming the line."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "Give a table of dictations in UTF-8") from error
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != 3 or cells[0] not in LANGUAGES or not all(cells):
            raise DataError(
                f"{path.name}:{number}: not a dictation", "Write language (en or de), what is said, and the document"
            )
        found.append(Dictation(cells[0], cells[1], cells[2].replace("\\n", "\n")))
    return tuple(found)


def cast_twice(recipe: SynthRecipe, dictations: Sequence[Dictation]) -> Iterator[Line]:
    """Have every dictation said twice, each time by one of the recipe's voices."""
    sentences = [Sentence(one.spoken, one.spoken, one.language, (), "dictation") for one in dictations]
    return cast_lines(recipe, [*sentences, *sentences])


def _add_documents(manifest: Path, dictations: Sequence[Dictation]) -> None:
    """Tag each utterance with the document that its dictation asks for."""
    documents = {(one.language, one.spoken): one.written for one in dictations}
    rows = [
        replace(row, tags={**row.tags, "written": documents[cast(Language, row.lang), row.text]})
        for row in read_manifest(manifest)
    ]
    write_manifest(manifest, rows)


def pair_vocabularies(vocabularies: Vocabularies) -> dict[Language, Vocabulary]:
    """Return vocabularies whose drugs are those that have look-alikes, each with all of them."""
    return {language: replace(vocabulary, lists={**vocabulary.lists, "drug": _paired_drugs(language)}, held_out=())
            for language, vocabulary in vocabularies.items()}  # fmt: skip


def _paired_drugs(language: Language) -> tuple[SpokenTerm, ...]:
    lexicon = load_lexicon(language)
    drugs: list[SpokenTerm] = []
    for term in lexicon:
        if term.kind in DRUG_KINDS:
            names = (twin.term.text for twin in lexicon.twins(term) if twin.term.language == language)
            speakable = tuple(name for name in names if SPEAKABLE.fullmatch(name))
            if speakable:
                drugs += spoken_forms(term, speakable)[:1]
    return tuple(drugs)


def digest_lines(
    lines: Iterable[Line], recipe: SynthRecipe, minutes: float | None, dictations: Sequence[Dictation] = ()
) -> str:
    """Return the SHA-256 of planned lines, of the noise to be added, the length they are joined to, the documents."""
    degrade = recipe.degrade.model_dump(mode="json") if recipe.degrade else None
    digest = hashlib.sha256(json.dumps([degrade, minutes], sort_keys=True).encode())
    for line in lines:
        said, how = line.sentence, line.prosody
        row = [line.id, said.lang, said.text, said.speech, said.phonemes, said.terms, line.voice.id,
               how.rate, how.pitch, how.range, how.gap]  # fmt: skip
        digest.update(json.dumps(row, ensure_ascii=False).encode())
    for one in dictations:
        digest.update(json.dumps([one.spoken, one.written], ensure_ascii=False).encode())
    return digest.hexdigest()


def join_recordings(manifest: Path, folder: Path, minutes: float, seed: int) -> Path:
    """Join each voice's sentences, with pauses, to recordings of at least ``minutes``; what is left over is left out.

    Returns their manifest. Raises DataError if no voice has enough to say.
    """
    out = folder / f"joined-{minutes:g}-min" / "manifest.jsonl"
    if out.exists():
        return out
    by_voice: dict[tuple[str, str], list[Utterance]] = {}
    for utterance in read_manifest(manifest):
        by_voice.setdefault((utterance.lang, utterance.speaker), []).append(utterance)
    joined: list[Utterance] = []
    (out.parent / "audio").mkdir(parents=True, exist_ok=True)
    for (_, voice), sentences in sorted(by_voice.items()):
        rng = random.Random(f"{seed}/{voice}")
        joined += _join_voice(sentences, manifest.parent, out.parent, minutes, rng)
    if not joined:
        raise DataError(f"{manifest}: no voice has {minutes:g} minutes to say", "Raise the counts of the recipe")
    write_manifest(out, joined)
    return out


def _join_voice(
    sentences: Sequence[Utterance], source: Path, out: Path, minutes: float, rng: random.Random
) -> list[Utterance]:
    wanted = int(minutes * 60 * RATE_HZ)
    joined: list[Utterance] = []
    parts: list[Samples] = []
    said: list[Utterance] = []
    for sentence in sentences:
        pause = np.zeros(rng.randint(*PAUSE_MS) * RATE_HZ // 1000, np.float32)
        parts += [_read_wav(source / sentence.audio), pause]
        said.append(sentence)
        if sum(map(len, parts)) >= wanted:
            joined.append(_write_joined(said, np.concatenate(parts), out, len(joined)))
            parts, said = [], []
    return joined


def _write_joined(said: Sequence[Utterance], samples: Samples, out: Path, number: int) -> Utterance:
    first = said[0]
    name = f"{first.lang}-{first.speaker.replace(':', '-').replace('+', '-')}-{number}"
    write_wav(out / "audio" / f"{name}.wav", samples)
    tags = {"tier": first.tags["tier"], "voice": first.speaker, "sentences": str(len(said)), "consent": "not needed"}
    terms = tuple(dict.fromkeys(term for each in said for term in each.terms))
    return Utterance(
        name, f"audio/{name}.wav", " ".join(each.text for each in said), first.lang, speaker=first.speaker,
        split=first.split, terms=terms, tags=tags,
    )  # fmt: skip


def _read_wav(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        return np.asarray(np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, dtype=np.float32)
