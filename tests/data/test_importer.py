"""Folders, tables and data sets become the same kind of manifest; every bad row is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sound import syllables, write

from medstt.data import ImportOptions, import_source, read_mapping
from medstt.errors import DataError, OptionError
from medstt.manifest import read_manifest


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for number, name in enumerate(("anna/one", "anna/two", "bert/three")):
        write(folder / f"{name}.wav", syllables(0.5, number))
        (folder / f"{name}.txt").write_text(f"text of\n{name[-3:]}", encoding="utf-8")
    write(folder / "bert/untold.wav", syllables(0.5, 9))
    return folder


def test_a_folder_of_recordings_and_texts(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = read_manifest(import_source(str(recordings), out, ImportOptions(language="en", consent=True)))
    assert [(row.speaker, row.text) for row in rows] == [
        ("anna", "text of one"),
        ("anna", "text of two"),
        ("bert", "text of ree"),
    ]
    assert all((out / row.audio).exists() and row.tags == {"consent": "yes"} for row in rows)
    assert not any("one" in row.id or "anna" in row.id for row in rows)
    again = read_manifest(import_source(str(recordings), tmp_path / "out2", ImportOptions(language="en")))
    assert [row.id for row in again] == [row.id for row in rows]
    assert all("consent" not in row.tags for row in again)


def test_a_table_with_columns_of_its_own(recordings: Path, tmp_path: Path) -> None:
    table = recordings / "list.csv"
    table.write_text(
        'Datei;Wortlaut;Sprache;Von;Bis;Einwilligung;Station\nanna/one.wav;"Herz; Lunge";de-DE;0,1;;ja;3b\n'.replace(
            "0,1", "0.1"
        )
        + "anna/two.wav;keine Stauung;de;;0.4;nein;\n",
        encoding="utf-8-sig",
    )
    mapping = tmp_path / "map.toml"
    mapping.write_text('audio = "Datei"\ntext = "Wortlaut"\nlang = "Sprache"\nstart = "Von"\ntime_unit = "s"\n')
    chosen = read_mapping(mapping, ["end=Bis", "consent=Einwilligung", "tags.ward=Station"])
    first, second = read_manifest(import_source(str(table), tmp_path / "out", ImportOptions(mapping=chosen)))
    assert (first.text, first.lang, first.start_ms, first.end_ms) == ("Herz; Lunge", "de", 100, None)
    assert first.tags == {"consent": "yes", "ward": "3b"}
    assert (second.end_ms, second.tags) == (400, {})


def test_json_lines_with_known_columns(recordings: Path, tmp_path: Path) -> None:
    table = recordings / "list.jsonl"
    rows = [
        {
            "audio_filepath": "anna/one.wav",
            "sentence": "no fever",
            "locale": "en_US",
            "client_id": "7",
            "split": "validation",
        }
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = read_manifest(import_source(str(table), tmp_path / "out", ImportOptions()))
    assert (found.text, found.lang, found.speaker, found.split) == ("no fever", "en", "7", "dev")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"audio": "a.wav", "text": "x", "lang": "fr"}', "list.jsonl:1: the language 'fr'"),
        ('{"audio": "a.wav", "text": "x", "lang": "en", "start_ms": -4}', "list.jsonl:1: the time -4"),
        ('{"audio": "a.wav", "text": "x", "lang": "en", "start_ms": 9, "end_ms": 4}', "list.jsonl:1: times 9..4"),
        ('{"audio": "a.wav", "text": "x", "lang": "en", "end_ms": "soon"}', "'soon' is not a time"),
        ('{"audio": "a.wav", "text": "x"}', "list.jsonl:1: no language"),
        ('{"audio": "", "text": "x", "lang": "en"}', "list.jsonl:1: no recording"),
        ('{"sound": "a.wav", "text": "x"}', "no column for audio; columns are sound, text. Map one"),
        ('{"audio": ', "list.jsonl:1: not JSON"),
        ("[]", "list.jsonl:1: not a JSON object"),
        ('{"audio": "a.wav", "text": "x", "lang": "en", "id": 1}\n' * 2, "the id '1' occurs twice"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "list.jsonl").write_text(content)
    with pytest.raises(DataError) as caught:
        import_source(str(tmp_path / "list.jsonl"), tmp_path / "out", ImportOptions())
    assert message in str(caught.value)
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def test_a_ragged_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("audio,text\na.wav,no fever, no cough\n")
    with pytest.raises(DataError, match=r"list.csv:2: not 2 columns"):
        import_source(str(tmp_path / "list.csv"), tmp_path / "out", ImportOptions(language="en"))


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="neither a folder nor a table"):
        import_source(str(tmp_path / "list.docx"), tmp_path / "out", ImportOptions())
    with pytest.raises(DataError, match="no recording with a text"):
        import_source(str(tmp_path), tmp_path / "out", ImportOptions(language="en"))


def test_a_mapping_names_the_nearest_field() -> None:
    with pytest.raises(DataError, match="Did you mean 'speaker'"):
        read_mapping(None, ["speeker=who"])
    with pytest.raises(DataError, match="not field=column"):
        read_mapping(None, ["speaker"])


def test_a_saved_data_set(recordings: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    content = (recordings / "anna" / "one.wav").read_bytes()
    rows = {
        "audio": [{"bytes": content, "path": "one.wav"}, {"bytes": content, "path": "one.wav"}],
        "sentence": ["no fever", "no cough"],
        "from": [0, 100],
    }
    part = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio(decode=False))
    datasets.DatasetDict({"train": part, "validation": part}).save_to_disk(tmp_path / "set")
    options = ImportOptions(language="en", mapping=read_mapping(None, ["start=from"]), split="validation")
    first, second = read_manifest(import_source(str(tmp_path / "set"), tmp_path / "out", options))
    assert (first.text, first.split, second.start_ms) == ("no fever", "dev", 100)
    assert first.audio == second.audio
    assert (tmp_path / "out" / first.audio).read_bytes() == content
