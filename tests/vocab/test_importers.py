"""Each importer on a small file made in the true format, and on files of other formats."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from medstt.errors import VocabError
from medstt.vocab import load_lexicon
from medstt.vocab.importers.formulary import read_atc, read_formulary, read_words
from medstt.vocab.importers.icd import read_icd10cm, read_icd10gm
from medstt.vocab.importers.rxnorm import read_rxnconso
from medstt.vocab.importers.source import detect_encoding
from medstt.vocab.write import write_terms

RXNCONSO = """\
6918|ENG||||||12253132|12253132|6918||RXNORM|IN|6918|metoprolol||N|4096|
203191|ENG||||||829|829|203191||RXNORM|BN|203191|Lopressor||N|4096|
866511|ENG||||||833|833|866511||RXNORM|SCD|866511|metoprolol tartrate 100 MG Oral Tablet||N|4096|
221124|ENG||||||834|834|221124||RXNORM|PIN|221124|metoprolol tartrate||N||
6918|ENG||||||835|||6918|MTHSPL|SU|X|METOPROLOL||N||
99999|ENG||||||836|836|99999||RXNORM|IN|99999|oldolol||O||
"""
ICD10CM = [
    ("00001", "A00", "0", "Cholera", "Cholera"),
    ("00002", "A000", "1", "Cholera due to Vibrio cholerae 01, biovar cholerae", "Cholera due to Vibrio cholerae 01"),
]
ICD10GM = (
    "3;N;X;01;A00;A00.-;A00;A00;Cholera;;;;V;V;1-002;2-001;3-003;4-002;001;9;9;9999;9999;9;N;J;J;J\n"
    "4;T;X;01;A00;A00.0;A00.0;A000;Cholera durch Vibrio cholerae;;;;P;P;1-002;2-001;3-003;4-002;001;9;9;9999;9999;9;"
    "N;J;J;J\n"
)


def put(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_rxnorm_takes_ingredients_and_brands(tmp_path: Path) -> None:
    terms = list(read_rxnconso(put(tmp_path / "RXNCONSO.RRF", RXNCONSO)))
    assert [(term.text, term.kind, term.code) for term in terms] == [
        ("metoprolol", "drug", "RXCUI:6918"),
        ("Lopressor", "brand", "RXCUI:203191"),
        ("metoprolol tartrate", "drug", "RXCUI:221124"),
    ]
    seen: list[tuple[int, int]] = []
    list(read_rxnconso(tmp_path / "RXNCONSO.RRF", lambda done, total: seen.append((done, total))))
    assert seen[-1] == (len(RXNCONSO), len(RXNCONSO))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("6918|ENG|P|L1|PF|S1|Y|A1||6918||RXNORM|IN|6918|metoprolol||N|\n", "17 fields where RXNCONSO.RRF has 18"),
        ("C0025859|ENG|P|L1|PF|S1|Y|A1|||6918|MSH|IN|6918|Metoprolol|0|N||\n", "not with a numeric RXCUI"),
        ("6918|ENG||||||1||||MTHSPL|SU|6918|METOPROLOL||N||\n", "no rows of source RXNORM"),
    ],
)
def test_rxnorm_refuses_other_files(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(VocabError, match=says):
        list(read_rxnconso(put(tmp_path / "X.RRF", text)))


def test_icd10cm_order_file(tmp_path: Path) -> None:
    lines = "".join(f"{order} {code:<7} {leaf} {short:<60} {long}\n" for order, code, leaf, short, long in ICD10CM)
    terms = list(read_icd10cm(put(tmp_path / "icd10cm_order_2026.txt", lines)))
    assert [(term.code, term.text) for term in terms] == [
        ("A00", "Cholera"),
        ("A00.0", "Cholera due to Vibrio cholerae 01"),
    ]
    with pytest.raises(VocabError, match=r":1 is no line of an ICD-10-CM order file"):
        list(read_icd10cm(put(tmp_path / "codes.txt", "A000    Cholera due to Vibrio cholerae\n")))


def test_icd10gm_code_table(tmp_path: Path) -> None:
    terms = list(read_icd10gm(put(tmp_path / "icd10gm2026syst_kodes.txt", ICD10GM, "cp1252")))
    assert [(term.code, term.text, term.language) for term in terms] == [
        ("A00", "Cholera", "de"),
        ("A00.0", "Cholera durch Vibrio cholerae", "de"),
    ]
    with pytest.raises(VocabError, match=r":1 is no line of an ICD-10-GM code table"):
        list(read_icd10gm(put(tmp_path / "x.txt", "A00.0|Cholera\n")))


def test_atc_index(tmp_path: Path) -> None:
    text = "ATC code;name\nC07AB;Betablocker, selektiv\nC07AB02;Metoprolol\n"
    (term,) = read_atc(put(tmp_path / "atc.csv", text), "de")
    assert (term.text, term.code, term.klass) == ("Metoprolol", "C07AB02", "Betablocker")
    with pytest.raises(VocabError, match="no ATC code"):
        list(read_atc(put(tmp_path / "b.csv", "code;name\n"), "de"))
    with pytest.raises(VocabError, match=":2 does not start with an ATC code"):
        list(read_atc(put(tmp_path / "c.csv", "code;name\n07X;Metoprolol\n"), "de"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_formulary_csv_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    text = 'Präparat;Wirkstoff;ATC;Bemerkung\nBeloc-Zok;Metoprolol;C07AB02;"für; Ärzte"\nFolsäure;Folsäure;B03BB01;\n'
    path = put(tmp_path / "liste.csv", text, encoding)
    terms = list(read_formulary(path, "de", {}))
    assert [(term.text, term.kind, term.generic, term.note) for term in terms] == [
        ("Beloc-Zok", "brand", "Metoprolol", "für; Ärzte"),
        ("Folsäure", "drug", "", ""),
    ]
    assert terms[0].klass == "Betablocker"


def test_encoding_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path / "liste.csv", "Name\nMüller\n", "cp850")
    assert [term.text for term in read_formulary(path, "de", {}, encoding="cp850")] == ["Müller"]
    with pytest.raises(VocabError, match="is not in utf-8"):
        list(read_formulary(path, "de", {}, encoding="utf-8"))
    with pytest.raises(VocabError, match="no known encoding"):
        list(read_formulary(path, "de", {}, encoding="klingon"))
    assert detect_encoding(put(tmp_path / "u", "grün")) == "utf-8"


def test_formulary_workbook_with_a_mapping(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Nr", "Bezeichnung", "Stoff", "Schlüssel"])
    book.active.append([1, "Concor", "Bisoprolol", "C07AB07"])
    book.active.append([None, None, None, None])
    book.save(tmp_path / "liste.xlsx")
    columns = {"term": "Bezeichnung", "generic": "Stoff", "code": "Schlüssel"}
    (term,) = read_formulary(tmp_path / "liste.xlsx", "de", columns)
    assert (term.text, term.kind, term.generic, term.code) == ("Concor", "brand", "Bisoprolol", "C07AB07")
    with pytest.raises(VocabError, match="no column 'Foo'"):
        list(read_formulary(tmp_path / "liste.xlsx", "de", {"term": "Foo"}))
    with pytest.raises(VocabError, match="'colour' is no field"):
        list(read_formulary(tmp_path / "liste.xlsx", "de", {"colour": "Nr"}))
    with pytest.raises(VocabError, match="no column holds the names"):
        list(read_formulary(tmp_path / "liste.xlsx", "de", {}))
    with pytest.raises(VocabError, match="no readable workbook"):
        list(read_formulary(put(tmp_path / "broken.xlsx", "PK not a workbook"), "de", {}))


def test_word_list(tmp_path: Path) -> None:
    path = put(tmp_path / "names.txt", "# surgeons\nDr. Özdemir\n\nDr. Özdemir\nDr. Weiß\n")
    assert [term.text for term in read_words(path, "de", "name")] == ["Dr. Özdemir", "Dr. Weiß"]
    with pytest.raises(VocabError, match="holds a tab"):
        list(read_words(put(tmp_path / "t.txt", "a\tb\n"), "de", "name"))


@pytest.mark.parametrize("read", [read_rxnconso, read_icd10cm, read_icd10gm])
def test_missing_and_empty_files(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(VocabError):
        list(read(tmp_path / "missing"))
    with pytest.raises(VocabError, match=r"empty|no rows"):
        list(read(put(tmp_path / "empty", "")))


def test_what_is_imported_can_be_loaded_again(tmp_path: Path) -> None:
    terms = list(read_rxnconso(put(tmp_path / "RXNCONSO.RRF", RXNCONSO)))
    assert write_terms(tmp_path / "site" / "en" / "rxnorm.tsv", terms) == 3
    lexicon = load_lexicon("en", [tmp_path / "site"], builtin=False)
    assert sorted(term.text for term in lexicon) == ["Lopressor", "metoprolol", "metoprolol tartrate"]
