"""Lexicon, layers, search, spotting, look-alikes, bias phrases: on small tables and on the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import VocabError
from medstt.vocab import Layer, Lexicon, load_lexicon
from medstt.vocab.fold import fold, spelling_key
from medstt.vocab.phonetic import koelner, sound

HEADER = "term\tkind\tgeneric\tspoken\tcode\tclass\tvariants\tsource\n"


@pytest.fixture(scope="module")
def german() -> Lexicon:
    return load_lexicon("de")


@pytest.fixture(scope="module")
def english() -> Lexicon:
    return load_lexicon("en")


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_shipped_tables_are_as_large_as_promised(german: Lexicon, english: Lexicon) -> None:
    least = {"drug": 1200, "condition": 500, "anatomy": 250, "procedure": 250, "lab": 120, "abbreviation": 250}
    for lexicon in (german, english):
        for kind, count in least.items():
            assert sum(term.kind == kind for term in lexicon) >= count, (kind, lexicon)
    assert sum(term.kind == "brand" for term in english) >= 300
    assert sum(term.kind == "brand" for term in german) >= 200
    assert len(german.pairs) + len(english.pairs) >= 150
    assert sum(bool(term.pronunciation) for term in english if term.kind == "drug") >= 200
    assert all(term.code and term.klass for lexicon in (german, english) for term in lexicon if term.kind == "drug")
    assert all(term.en for term in german if term.kind == "drug")
    assert all(term.spoken for lexicon in (german, english) for term in lexicon if term.kind == "unit")


@pytest.mark.parametrize("written", ["Hämoglobin", "haemoglobin", "HÄMOGLOBIN", "Ha\u0308moglobin"])
def test_find_ignores_case_and_umlaut_spelling(german: Lexicon, written: str) -> None:
    assert [term.text for term in german.find(written)] == ["Hämoglobin"]


def test_variants_lead_to_the_term(english: Lexicon, german: Lexicon) -> None:
    assert english.find("paracetamol")[0].text == "acetaminophen"
    assert english.find("oesophagus")[0].text == "esophagus"
    assert german.find("Novaminsulfon")[0].text == "Metamizol"


@pytest.mark.parametrize(
    ("heard", "meant", "how"),
    [
        ("Metoprolol", "Metoprolol", "exact"),
        ("Zefazolin", "Cefazolin", "spelling"),
        ("Furosemit", "Furosemid", "sound"),
        ("Ksarelto", "Xarelto", "sound"),
        ("Metropolol", "Metoprolol", "fuzzy"),
    ],
)
def test_search_finds_the_misheard(german: Lexicon, heard: str, meant: str, how: str) -> None:
    best = german.search(heard, 1)[0]
    assert (best.term.text, best.how) == (meant, how)


def test_search_can_be_kept_to_names(german: Lexicon) -> None:
    assert german.search("Metropolol", fuzzy=False, phonetic=False) == []
    assert german.search("  ") == []


def test_spelling_families() -> None:
    assert spelling_key("Karzinom") == spelling_key("Carcinom")
    assert spelling_key("oesophagus") == spelling_key("esophagus")
    assert spelling_key("Photographie") == spelling_key("Fotografie")
    assert fold("Fußpilz") == fold("FUSSPILZ")


@pytest.mark.parametrize(
    ("word", "code"),
    [("Wikipedia", "3412"), ("Müller-Lüdenscheidt", "65752682"), ("Breschnew", "17863"), ("Haus", "08")],
)
def test_koelner_codes_as_published(word: str, code: str) -> None:
    assert koelner(word) == code


def test_sound_of_each_language() -> None:
    assert sound("phenytoin", "en") == sound("fenitoin", "en")
    assert sound("Phenytoin", "de") == sound("Fenütoin", "de")


def spotted(lexicon: Lexicon, text: str) -> list[tuple[str, str, str]]:
    return [(mention.text, mention.term.text, mention.how) for mention in lexicon.spot(text)]


def test_spot_takes_inflections_and_compounds(german: Lexicon) -> None:
    text = "Unter Metoprololtherapie Verkleinerung des linken Vorhofs, Rezidiv des Schilddrüsenkarzinoms."
    assert spotted(german, text) == [
        ("Metoprololtherapie", "Metoprolol", "compound"),
        ("linken Vorhofs", "linker Vorhof", "inflection"),
        ("Schilddrüsenkarzinoms", "Schilddrüsenkarzinom", "inflection"),
    ]


def test_spot_takes_the_longest_and_the_right_case(english: Lexicon, german: Lexicon) -> None:
    assert spotted(english, "insulin glargine; ms Hall has MS")[0][1] == "insulin glargine"
    assert [row[0] for row in spotted(english, "ms Hall has MS")] == ["MS"]
    assert [row[0] for row in spotted(german, "Z.n. Myokardinfarkt")] == ["Z.n.", "Myokardinfarkt"]


def test_spot_does_not_join_across_punctuation(english: Lexicon) -> None:
    names = [row[1] for row in spotted(english, "pain in the heart, failure of the pump")]
    assert "heart failure" not in names


def test_spot_offsets_are_of_the_text_and_of_the_words(english: Lexicon) -> None:
    text = "give sodium chloride, then Lopressor."
    for mention in english.spot(text):
        assert text[mention.start : mention.end] == mention.text
    words = ["give", "Insulin", "glargine,", "then", "Lopressor."]
    assert [(mention.start, mention.end) for mention in english.spot(words)] == [(1, 3), (4, 5)]


@pytest.mark.parametrize("text", ["", "\ud800 metoprolol", "\x00", "😀 heart failure 😀", "a" * 100_000])
def test_spot_takes_any_text(english: Lexicon, text: str) -> None:
    assert isinstance(english.spot(text), list)


def test_twins_both_ways_and_by_variant(english: Lexicon) -> None:
    assert "Cerebyx" in [twin.term.text for twin in english.twins("celebrex")]
    assert "Celebrex" in [twin.term.text for twin in english.twins("Cerebyx")]
    (twin,) = [twin for twin in english.twins("hydroxyzine") if twin.term.text == "hydralazine"]
    assert twin.checked
    unchecked = [twin for pair in english.pairs if pair.source == "memory" for twin in english.twins(pair.a)]
    assert unchecked
    assert all(twin.checked == (twin.source != "memory") for twin in unchecked)


def test_layers_add_override_and_remove(tmp_path: Path) -> None:
    write(tmp_path / "site" / "de" / "a.tsv", "Testolol\tdrug\t\tTest o loll\tC07AB02\tAlt\t\tsite")
    write(tmp_path / "me" / "de" / "b.tsv", "testolol\tdrug\t\t\t\tNeu\t\tme", "-Metoprolol\tdrug\t\t\t\t\t\tme")
    lexicon = load_lexicon("de", [tmp_path / "site", tmp_path / "me"])
    (term,) = lexicon.find("Testolol")
    assert (term.text, term.spoken, term.klass, term.code, term.layer) == (
        "testolol", ("Test o loll",), "Neu", "C07AB02", "department",
    )  # fmt: skip
    assert lexicon.find("Metoprolol") == ()
    assert lexicon.version.startswith(load_lexicon("de").version + "+site+department")


def test_pairs_are_removed_too(tmp_path: Path) -> None:
    header = "a\tb\treason\tsource\n"
    write(tmp_path / "en" / "twins.tsv", "-Celebrex\tCerebyx\t\tsite", header=header)
    lexicon = load_lexicon("en", [tmp_path])
    assert "Cerebyx" not in [twin.term.text for twin in lexicon.twins("Celebrex")]


def test_digest_follows_the_bytes(tmp_path: Path) -> None:
    table = write(tmp_path / "en" / "a.tsv", "foolol\tdrug\t\t\t\t\t\tsite")
    first = load_lexicon("en", [tmp_path])
    assert first == load_lexicon("en", [tmp_path])
    write(table, "foolol\tdrug\t\t\t\t\t\tward")
    assert first != load_lexicon("en", [tmp_path])


def test_bias_phrases_keep_to_the_budget_and_prefer_later_layers(tmp_path: Path) -> None:
    write(tmp_path / "en" / "a.tsv", "Zzyzx clinic\tname\t\t\t\t\t\tsite")
    lexicon = load_lexicon("en", [Layer("user", tmp_path)])
    phrases = lexicon.bias_phrases(12, count=lambda text: len(text.split()))
    assert phrases[0].text == "Zzyzx clinic"
    assert phrases[0].weight > phrases[1].weight
    assert sum(len(phrase.text.split()) for phrase in phrases) <= 12
    assert lexicon.bias_phrases(0) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("term\tkind\nfoo\n", "bad.tsv:2 has 1 columns where 2 were expected"),
        ("term\tkind\nfoo\tmedicine\n", "bad.tsv:2 column kind is 'medicine'"),
        ("term\tkind\n \tdrug\n", "bad.tsv:2 column term is empty"),
        ("term\tkinds\nfoo\tdrug\n", "unknown or repeated columns: kinds"),
        ("term\tcode\nfoo\tbar\n", "lacks the column kind"),
        ("", "has no header line"),
        ("a\tb\nfoo\t\n", "needs two names"),
        ("a\tb\nfoo\tfoo\n", "with itself"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "en" / "bad.tsv"
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(VocabError, match=what.replace("(", r"\(")):
        load_lexicon("en", [tmp_path])


def test_wrong_encoding_missing_folder_and_missing_language(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "a.tsv").write_bytes("term\tkind\nÖl\tdrug\n".encode("cp1252"))
    with pytest.raises(VocabError, match=r"a.tsv:2 is not UTF-8"):
        load_lexicon("en", [tmp_path])
    with pytest.raises(VocabError, match="does not exist"):
        load_lexicon("en", [tmp_path / "nowhere"])
    write(tmp_path / "loose.tsv", "foo\tdrug\t\t\t\t\t\tme")
    with pytest.raises(VocabError, match="column language"):
        load_lexicon("en", [tmp_path / "loose.tsv"])


def test_benchmark_measures_what_it_says() -> None:
    from medstt.vocab.benchmark import measure

    figures = measure(terms=2000, words=5000)
    assert figures.terms == 2000
    assert figures.mentions == 500


def test_spotting_analyses_each_distinct_word_once(german: Lexicon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts instead of seconds: the endings of a word are tried once, however often it is written."""
    from medstt.vocab.spot import Spotter

    tried: list[str] = []
    bend = Spotter._bent
    monkeypatch.setattr(Spotter, "_bent", lambda self, word: tried.append(word) or bend(self, word))
    german.spot("Metoprololgaben wirken langsam. " * 500)
    assert tried.count("wirken") == 1
    assert len(tried) < 60
