"""The lines of a recipe: which sentences, spoken by which voices; everything follows from the recipe's seed.

Knows nothing of audio or files written.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import DataError
from medstt.synth.corpus import read_lines, read_sentences
from medstt.synth.grammar import Deck, Grammar, Sentence, read_grammar
from medstt.synth.recipe import Part, SynthRecipe
from medstt.synth.vocabulary import LISTS, Vocabulary
from medstt.synth.voice import Prosody, Voice, command_voices, held_out_voices, training_voices
from medstt.values import Language

SHARD = 200  # utterances a worker makes before it records them as done


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance to be made: who says which sentence how, and the file it goes to."""

    id: str
    sentence: Sentence
    voice: Voice
    prosody: Prosody
    file: str


def builtin_grammar_folder() -> Path:
    """Return the folder of the grammars: the checkout's ``training/grammar``, else the copy inside the package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data" / "grammar", package.parents[1] / "training" / "grammar"):
        if folder.is_dir():
            return folder
    raise DataError("the grammars are missing from this installation", "Install medstt again, or give --grammars")


def missing_texts(recipe: SynthRecipe, texts: Path | None) -> list[str]:
    """Return the text files that a recipe names and that are not there."""
    names = dict.fromkeys(name for part in recipe.parts if part.kind == "text" for name in part.files)
    return [name for name in names if texts is None or not (texts / name).exists()]


def compose(
    recipe: SynthRecipe, vocabulary: Mapping[Language, Vocabulary], grammars: Path, texts: Path | None
) -> Iterator[Sentence]:
    """Yield the sentences of a recipe; text files that are not there are left out (see ``missing_texts``)."""
    for index, part in enumerate(recipe.parts):
        rng = random.Random(f"{recipe.seed}/{index}")
        words = vocabulary[part.lang]
        if part.kind == "text":
            yield from _text_sentences(part, words, texts, recipe.seed, rng)
        else:
            decks = _decks(words, part.drug_names, rng)
            grammar = _grammar(grammars, part.lang).limited(decks)
            if part.drugs and "drug" not in decks:
                raise DataError(f"part {index + 1}: the lexicon has no {part.drug_names} drug", "Check the lexicon")
            for _ in range(part.count):
                yield grammar.sentence(rng, decks, drugs=part.drugs)
    for lang, words in sorted(vocabulary.items()):
        rng = random.Random(f"{recipe.seed}/terms/{lang}")
        if words.chosen:
            grammar, decks = _grammar(grammars, lang), _decks(words, "train", rng)
            for slot, terms in sorted(words.chosen.items()):
                filled = {slot: Deck(terms, rng), **decks}  # a template may name two terms of a kind we have no list of
                yield from grammar.limited(filled).about(rng, filled, slot, terms, recipe.per_term)


def _text_sentences(
    part: Part, words: Vocabulary, texts: Path | None, seed: int, rng: random.Random
) -> Iterator[Sentence]:
    files = [texts / name for name in part.files if (texts / name).exists()] if texts else []
    refused = {"train": words.forbidden, "none": words.drug_names}.get(part.drug_names, frozenset())
    found = list(
        read_sentences(
            read_lines(files),
            part.lang,
            forbidden=refused,
            max_words=part.max_words,
            spoken_marks=part.spoken_marks,
            seed=seed,
        )
    )
    yield from rng.sample(found, min(part.count, len(found)))


def _decks(words: Vocabulary, drug_names: str, rng: random.Random) -> dict[str, Deck]:
    lists = dict(words.lists)
    if drug_names in ("held-out", "all"):
        lists["drug"] = words.held_out + (lists.get("drug", ()) if drug_names == "all" else ())
    return {name: Deck(terms, rng) for name, terms in lists.items() if terms}


def _grammar(grammars: Path, lang: Language) -> Grammar:
    return read_grammar(grammars / f"{lang}.toml", lang, LISTS)


def cast(recipe: SynthRecipe, sentences: Iterable[Sentence]) -> Iterator[Line]:
    """Give every sentence a voice, a tempo and a pitch, by the recipe's seed."""
    rng = random.Random(f"{recipe.seed}/cast")
    voices: dict[Language, list[Voice]] = {}
    for number, sentence in enumerate(sentences):
        if sentence.lang not in voices:
            voices[sentence.lang] = _voices(recipe, sentence.lang)
        prosody = Prosody(
            rng.randint(*recipe.rate), rng.randint(30, 72), rng.randint(30, 80), rng.choice((0, 0, 0, 1, 2))
        )
        name = f"{recipe.split}-{recipe.seed}-{number:06d}"
        file = f"audio/{number // SHARD:04d}/{name}.wav"
        yield Line(name, sentence, rng.choice(voices[sentence.lang]), prosody, file)


def _voices(recipe: SynthRecipe, lang: Language) -> list[Voice]:
    if recipe.voices == "command":
        return command_voices(lang, recipe.command_voices.get(lang, []))
    if recipe.voices == "held-out":
        return held_out_voices(lang)
    voices = [voice for voice in training_voices(lang) if recipe.engine in (None, voice.engine)]
    if not voices:
        raise DataError(f"no {recipe.engine} voice for {lang}", "Install the engine, or leave engine out of the recipe")
    return voices
