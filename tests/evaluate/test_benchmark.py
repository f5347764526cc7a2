from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from medstt.audio import read_audio
from medstt.errors import DataError, NotFoundError
from medstt.evaluate.answer import Answer
from medstt.evaluate.audit import apply_fixes, doubt_references
from medstt.evaluate.benchmark import (
    Place,
    builtin_benchmark_folder,
    digest_plans,
    find_benchmark,
    open_benchmark,
    our_benchmarks,
    read_benchmark,
    record_digests,
    shipped_benchmarks,
)
from medstt.evaluate.document import find_entities
from medstt.evaluate.item import Item, digest_items, digest_sound, items_of
from medstt.evaluate.lexicon import open_spotter
from medstt.evaluate.spoken import Vocabularies, open_spoken, read_dictations
from medstt.evaluate.system import Reply
from medstt.manifest import write_manifest
from medstt.metrics.critical import find_facts
from medstt.metrics.rate import EVIDENCE
from medstt.metrics.term import DRUG_KINDS
from medstt.synth.grammar import Sentence
from medstt.synth.vocabulary import build_vocabularies
from medstt.text.normalise import canonicalise
from medstt.values import LANGUAGES, Utterance

BENCHMARK = """
name = "mine"
version = 1
title = "Two sentences"
metrics = ["wer_content"]

[[sets]]
name = "clean"
manifest = "m.jsonl"
digest = "{digest}"
"""


def write_benchmark(folder: Path, digest: str = "") -> Path:
    write_manifest(folder / "m.jsonl", [Utterance("a", "a.wav", "no fever", "en"), Utterance("b", "b.wav", "x", "de")])
    (folder / "mine.toml").write_text(BENCHMARK.format(digest=digest))
    return folder / "mine.toml"


def place(folder: Path, **given: Path) -> Place:
    return Place(folder, folder / "cache", None, given)


def test_every_shipped_benchmark_is_read_and_its_recipes_too() -> None:
    from medstt.synth.grammar import read_grammar
    from medstt.synth.recipe import read_recipe
    from medstt.synth.vocabulary import LISTS

    folder = builtin_benchmark_folder()
    files = shipped_benchmarks()
    assert len(files) >= 18
    for path in files:
        benchmark = read_benchmark(path)
        assert benchmark.name == path.stem
        for part in benchmark.sets:
            if part.recipe:
                recipe = read_recipe(folder / part.recipe)
                assert recipe.voices == "held-out"
            for language in ("en", "de") if part.grammar else ():
                assert read_grammar(folder / str(part.grammar) / f"{language}.toml", language, LISTS)


def test_ours_are_those_that_need_nothing_given() -> None:
    assert set(our_benchmarks()) == {
        "biasing", "critical", "dictation-de", "dictation-en", "documents", "drugs-unheard", "general", "longform",
        "lookalike", "nonspeech", "numbers",
    }  # fmt: skip


@pytest.fixture(scope="module")
def vocabularies() -> Vocabularies:
    return build_vocabularies()


def test_what_the_shipped_benchmarks_say_is_what_was_recorded(vocabularies: Vocabularies) -> None:
    """After a change of lexicon, grammar or recipe: `python -m medstt.evaluate --record`, and raise the version."""
    folder = builtin_benchmark_folder()
    for path in shipped_benchmarks():
        benchmark = read_benchmark(path)
        recorded = {part.name: part.digest for part in benchmark.sets if part.recipe}
        assert digest_plans(benchmark, Place(folder, folder), vocabularies) == recorded, benchmark.name


EVIDENCE_IN = {
    "critical": ("negation", "side", "opposite"),
    "numbers": ("number", "dose", "unit", "comparison", "date"),
}


@pytest.mark.parametrize("name", list(EVIDENCE_IN))
def test_each_critical_kind_has_the_events_that_a_rate_needs_in_each_language(
    name: str, vocabularies: Vocabularies
) -> None:
    events: Counter[tuple[str, str]] = Counter()
    for said in sentences_of(name, vocabularies):
        facts = find_facts(canonicalise(said.text, said.lang), said.lang)
        events.update((said.lang, fact.kind) for fact in facts)
    wanted = [(language, kind) for language in LANGUAGES for kind in EVIDENCE_IN[name]]
    assert {key: events[key] for key in wanted if events[key] < EVIDENCE} == {}


@pytest.mark.parametrize(("name", "wanted"), [("lookalike", "twins"), ("drugs-unheard", "lexicon")])
def test_drugs_have_the_events_that_a_rate_needs_in_each_language(
    name: str, wanted: str, vocabularies: Vocabularies
) -> None:
    spot, _ = open_spotter()
    events: Counter[str] = Counter()
    for said in sentences_of(name, vocabularies):
        words = [token.text for token in canonicalise(said.text, said.lang)]
        found = [mention for mention in spot(words, said.lang) if mention.kind in DRUG_KINDS]
        events[said.lang] += sum(bool(m.twins) if wanted == "twins" else m.status == wanted for m in found)
    assert min(events[language] for language in LANGUAGES) >= EVIDENCE, events


def sentences_of(name: str, vocabularies: Vocabularies) -> Iterator[Sentence]:
    folder = builtin_benchmark_folder()
    for part in read_benchmark(find_benchmark(name)).sets:
        grammar = folder / part.grammar if part.grammar else None
        spoken = open_spoken(folder / str(part.recipe), vocabularies, grammar, twins=part.twins)
        yield from (line.sentence for line in spoken.plan())


def test_digests_are_recorded_under_their_sets(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "a"\n\n[[sets]]\nname = "a"\ndigest = "old"\nx = 1\n\n[[sets]]\nname = "b"\n')
    assert record_digests(path, {"a": "1", "b": "2"})
    wanted = 'name = "a"\n\n[[sets]]\nname = "a"\ndigest = "1"\nx = 1\n\n[[sets]]\nname = "b"\ndigest = "2"\n'
    assert path.read_text() == wanted
    assert not record_digests(path, {"a": "1", "b": "2"})


SPOKEN = """
name = "spoken"
version = 1
title = "A few sentences"
metrics = ["wer_content"]

[[sets]]
name = "said"
recipe = "said.synth.toml"
minutes = 0.15
"""
RECIPE = """
seed = 1
split = "test"
voices = "held-out"

[[parts]]
lang = "de"
kind = "grammar"
count = 12
"""


def test_spoken_sets_are_digested_before_they_are_spoken_and_joined_to_long_recordings(tmp_path: Path) -> None:
    (tmp_path / "spoken.toml").write_text(SPOKEN)
    (tmp_path / "said.synth.toml").write_text(RECIPE)
    benchmark = read_benchmark(tmp_path / "spoken.toml")
    digests = digest_plans(benchmark, place(tmp_path))
    record_digests(tmp_path / "spoken.toml", digests)
    items = open_benchmark(read_benchmark(tmp_path / "spoken.toml"), place(tmp_path))
    assert items
    for item in items:
        assert read_audio(item.audio).duration_ms >= 9000
        assert item.utterance.tags["tier"] == "unseen variant"
    assert sum(int(item.utterance.tags["sentences"]) for item in items) > len(items)
    again = open_benchmark(read_benchmark(tmp_path / "spoken.toml"), place(tmp_path))
    assert again == items
    assert digest_sound(items) == digest_sound(again) is not None
    (tmp_path / "said.synth.toml").write_text(RECIPE.replace("seed = 1", "seed = 2"))
    with pytest.raises(DataError, match="the set 'said' changed"):
        open_benchmark(read_benchmark(tmp_path / "spoken.toml"), place(tmp_path))


def test_dictations_are_said_and_carry_their_documents(tmp_path: Path) -> None:
    table = "language\tspoken\twritten\nde\tInsulin acht Einheiten neue Zeile Ende\tInsulin 8 Einheiten\\nEnde\n"
    (tmp_path / "d.tsv").write_text(table)
    (tmp_path / "said.synth.toml").write_text(RECIPE.partition("[[parts]]")[0])
    (tmp_path / "mine.toml").write_text(SPOKEN.replace("minutes = 0.15", 'dictations = "d.tsv"'))
    benchmark = read_benchmark(tmp_path / "mine.toml")
    before = digest_plans(benchmark, place(tmp_path))
    items = open_benchmark(benchmark, place(tmp_path))
    assert [item.utterance.tags["written"] for item in items] == ["Insulin 8 Einheiten\nEnde"] * 2
    assert read_audio(items[0].audio).duration_ms > 1000
    (tmp_path / "d.tsv").write_text(table.replace("\tInsulin 8 Einheiten", "\tInsulin 80 Einheiten"))
    assert digest_plans(benchmark, place(tmp_path)) != before
    (tmp_path / "d.tsv").write_text(table + "fr\tdeux\t2\n")
    with pytest.raises(DataError, match=r"d.tsv:3: not a dictation"):
        digest_plans(benchmark, place(tmp_path))


def test_shipped_dictations_ask_for_enough_entities_and_say_no_digit() -> None:
    dictations = read_dictations(builtin_benchmark_folder() / "dictations" / "documents.tsv")
    entities: Counter[str] = Counter()
    for one in dictations:
        entities[one.language] += find_entities(one.written).total()
        assert not any(character.isdigit() for character in one.spoken), one
    assert len(set(dictations)) == len(dictations)
    assert min(entities[language] for language in ("en", "de")) >= 80


def test_a_changed_set_is_refused(tmp_path: Path) -> None:
    path = write_benchmark(tmp_path)
    items = open_benchmark(read_benchmark(path), place(tmp_path))
    assert [item.key for item in items] == ["clean:a", "clean:b"]
    path = write_benchmark(tmp_path, digest_items(items))
    assert open_benchmark(read_benchmark(path), place(tmp_path)) == items
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", "a.wav", "no fewer", "en")])
    with pytest.raises(DataError, match="the set 'clean' changed"):
        open_benchmark(read_benchmark(path), place(tmp_path))


def test_a_wrong_file_is_named_with_its_key(tmp_path: Path) -> None:
    path = write_benchmark(tmp_path)
    for old, new, why in [
        ("wer_content", "wer_loose", "unknown metric 'wer_loose'"),
        ('manifest = "m.jsonl"', "", "exactly one"),
        ("version = 1", 'version = 1\nnormaliser = "content-0"', "needs normaliser content-0"),
        ("version = 1", "version = 1\nmetrik = 3", "metrik: Extra inputs"),
    ]:
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(path.read_text().replace(old, new, 1))
        with pytest.raises(DataError, match=why):
            read_benchmark(wrong)
    with pytest.raises(NotFoundError, match="dictation-en"):
        find_benchmark("dictation-fr")


def test_sets_that_the_user_gives(tmp_path: Path) -> None:
    benchmark = read_benchmark(find_benchmark("human"))
    with pytest.raises(DataError, match="--set"):
        open_benchmark(benchmark, place(tmp_path))
    write_benchmark(tmp_path)
    assert len(open_benchmark(benchmark, place(tmp_path, human=tmp_path / "m.jsonl"))) == 2


def test_nonspeech_is_made_once_and_is_the_same_everywhere(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    benchmark = read_benchmark(find_benchmark("nonspeech"))
    part = benchmark.sets[0]
    assert part.nonspeech
    small = part.model_copy(
        update={"digest": "", "nonspeech": part.nonspeech.model_copy(update={"count": 12, "seconds": 0.5})}
    )
    benchmark = benchmark.model_copy(update={"sets": [small]})
    one = open_benchmark(benchmark, place(tmp_path / "one"))
    two = open_benchmark(benchmark, place(tmp_path / "two"))
    assert digest_items(one) == digest_items(two)
    assert {item.utterance.text for item in one} == {""}
    assert {item.utterance.lang for item in one} == {"en", "de"}
    assert [a.audio.read_bytes() == b.audio.read_bytes() for a, b in zip(one, two, strict=True)] == [True] * 12


def make_items(*texts: str) -> list[Item]:
    return items_of([Utterance(f"u{n}", f"u{n}.wav", text, "en") for n, text in enumerate(texts)], Path("x"))


def test_references_that_systems_agree_against_are_listed() -> None:
    items = make_items("the patient has know fever", "no cough")
    right = {
        "u0": Answer("u0", Reply("the patient has no fever"), None, 1, 1),
        "u1": Answer("u1", Reply("no"), None, 1, 1),
    }
    other = {"u0": Answer("u0", Reply("The patient has no fever."), None, 1, 1), "u1": Answer("u1", None, "x", 1, 1)}
    doubts = doubt_references(items, [right, other])
    assert [(d.key, d.reference, d.heard, d.systems) for d in doubts] == [("u0", "know", "no", 2)]


def test_reviewed_fixes_apply_only_to_what_was_reviewed(tmp_path: Path) -> None:
    items = make_items("has know fever", "no cough")
    fix = {"id": "u0", "was": "has know fever", "text": "has no fever", "who": "dr a", "why": "heard twice"}
    path = tmp_path / "fixes.jsonl"
    path.write_text(json.dumps(fix) + "\n")
    assert [item.utterance.text for item in apply_fixes(items, path)] == ["has no fever", "no cough"]
    with pytest.raises(DataError, match="no longer what was fixed"):
        apply_fixes(make_items("has now fever"), path)
    path.write_text(json.dumps({**fix, "id": "u9"}) + "\n")
    with pytest.raises(DataError, match="no utterance of id 'u9'"):
        apply_fixes(items, path)
    path.write_text('{"id": "u0"}\n')
    with pytest.raises(DataError, match=r"fixes\.jsonl:1"):
        apply_fixes(items, path)
