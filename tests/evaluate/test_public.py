from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.evaluate.benchmark import Place, find_benchmark, open_benchmark, read_benchmark
from medstt.evaluate.item import Item
from medstt.evaluate.primock import read_primock

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 12.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "Doctor"
        xmin = 0
        xmax = 12.5
        intervals: size = 5
        intervals [1]:
            xmin = 0
            xmax = 1.25
            text = ""
        intervals [2]:
            xmin = 1.25
            xmax = 4.005
            text = "Hello, how can I <UNSURE>help</UNSURE> you?"
        intervals [3]:
            xmin = 4.005
            xmax = 6
            text = "<UNIN/>"
        intervals [4]:
            xmin = 6
            xmax = 9
            text = "You said ""no fever"", right?"
        intervals [5]:
            xmin = 9
            xmax = 12.5
            text = "Okay <INAUDIBLE_SPEECH/> then."
"""


def test_primock_textgrids_are_read(tmp_path: Path) -> None:
    (tmp_path / "transcripts").mkdir()
    path = tmp_path / "transcripts" / "day1_consultation01_doctor.TextGrid"
    path.write_text(TEXTGRID, encoding="utf-8")
    first, second = read_primock(tmp_path)
    assert (first.text, first.start_ms, first.end_ms) == ("Hello, how can I help you?", 1250, 4005)
    assert first.audio == "audio/day1_consultation01_doctor.wav"
    assert second.text == 'You said "no fever", right?'
    assert dict(second.tags) == {"tier": "conversation", "role": "doctor"}
    path.write_text("xmin = 0")
    with pytest.raises(DataError, match=r"doctor.TextGrid: not a TextGrid"):
        read_primock(tmp_path)
    path.rename(path.with_name("notes.TextGrid"))
    with pytest.raises(DataError, match=r"notes.TextGrid"):
        read_primock(tmp_path)
    with pytest.raises(DataError, match="no transcripts"):
        read_primock(tmp_path / "transcripts")


def wav_bytes() -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(b"\0\0" * 1600)
    return content.getvalue()


def open_public(name: str, folder: Path, **given: Path) -> list[Item]:
    """Open a shipped benchmark on folders in the layout of the public set."""
    path = find_benchmark(name)
    return open_benchmark(read_benchmark(path), Place(path.parent, folder / "cache", None, given))


def write_shard(path: Path, columns: dict[str, list[object]]) -> None:
    """Write a shard as the package datasets does: recordings as {bytes, path}."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    count = len(next(iter(columns.values())))
    audio = [{"bytes": wav_bytes(), "path": f"{path.stem}-{number}.wav"} for number in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"audio": audio, **columns}), path)


def test_primock57(tmp_path: Path) -> None:
    (tmp_path / "transcripts").mkdir()
    (tmp_path / "transcripts" / "day1_consultation01_doctor.TextGrid").write_text(TEXTGRID, encoding="utf-8")
    first, second = open_public("primock57", tmp_path, primock57=tmp_path)
    assert first.audio == tmp_path / "audio" / "day1_consultation01_doctor.wav"
    assert (first.request.start_ms, first.request.end_ms) == (1250, 4005)
    assert second.key == "primock57:day1_consultation01_doctor-0003"
    with pytest.raises(DataError, match="--set primock57=PATH"):
        open_public("primock57", tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        open_public("primock57", tmp_path, primock57=tmp_path / "gone")


@pytest.mark.parametrize(("name", "language"), [("multimed-en", "en"), ("multimed-de", "de")])
def test_multimed(tmp_path: Path, name: str, language: str) -> None:
    folder = tmp_path / ("English" if language == "en" else "German")
    for number, texts in enumerate((["no fever", "Hyper"], ["third"])):
        durations = [1.0] * len(texts)
        write_shard(folder / f"test-0000{number}-of-00002.parquet", {"text": [*texts], "duration": [*durations]})
    write_shard(folder / "train-00000-of-00001.parquet", {"text": ["not for tests"], "duration": [1.0]})
    items = open_public(name, tmp_path, **{name: folder})
    assert [item.utterance.text for item in items] == ["no fever", "Hyper", "third"]
    assert {item.utterance.lang for item in items} == {language}
    assert items[2].audio.read_bytes() == wav_bytes()
    assert open_public(name, tmp_path, **{name: folder}) == items
    write_shard(folder / "test-00001-of-00002.parquet", {"words": ["third"], "duration": [1.0]})
    with pytest.raises(DataError, match=r"test-00001.*no column 'text'; its columns are audio, words, duration"):
        open_public(name, tmp_path, **{name: folder})
    (folder / "test-00001-of-00002.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"test-00001-of-00002.parquet: not Parquet"):
        open_public(name, tmp_path, **{name: folder})
    with pytest.raises(DataError, match=r"no test-\*.parquet"):
        open_public(name, tmp_path, **{name: tmp_path / "cache"})


def test_eka_medical(tmp_path: Path) -> None:
    columns = {"text": ["Tab Dolo 650"], "speaker": ["s1"], "recording_context": ["narration"], "duration": [1.0]}
    write_shard(tmp_path / "en" / "test-00000-of-00001.parquet", {**columns})
    (item,) = open_public("eka-medical", tmp_path, **{"eka-medical": tmp_path / "en"})
    assert (item.utterance.speaker, dict(item.utterance.tags)) == ("s1", {"tier": "dictation", "context": "narration"})


@pytest.mark.parametrize("name", ["corti-med-dictate", "corti-med-term"])
def test_corti(tmp_path: Path, name: str) -> None:
    write_shard(tmp_path / "en" / "test-00000-of-00001.parquet", {"text": ["no fever"]})
    write_shard(tmp_path / "de" / "test-00000-of-00001.parquet", {"transcript": ["kein Fieber"]})
    items = open_public(name, tmp_path, en=tmp_path / "en", de=tmp_path / "de")
    assert [(i.key, i.utterance.text, i.utterance.lang) for i in items] == [
        ("en:en-000000", "no fever", "en"),
        ("de:de-000000", "kein Fieber", "de"),
    ]


def test_librispeech(tmp_path: Path) -> None:
    folder = tmp_path / "test-clean" / "1089" / "134686"
    folder.mkdir(parents=True)
    lines = "1089-134686-0000 HE HOPED THERE WOULD BE STEW\n1089-134686-0001 STUFF IT INTO YOU\n"
    (folder / "1089-134686.trans.txt").write_text(lines)
    items = open_public("librispeech", tmp_path, **{"test-clean": tmp_path / "test-clean"})
    assert [item.audio.name for item in items] == ["1089-134686-0000.flac", "1089-134686-0001.flac"]
    assert items[1].audio.parent == folder
    assert (items[0].utterance.speaker, items[0].utterance.text) == ("1089", "HE HOPED THERE WOULD BE STEW")
    (folder / "1089-134686.trans.txt").write_text("1089-134686-0000\n")
    with pytest.raises(DataError, match=r"1089-134686.trans.txt:1: not an id and a text"):
        open_public("librispeech", tmp_path, **{"test-clean": tmp_path / "test-clean"})


COMMON_VOICE = (
    "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents\tvariant"
    "\tlocale\tsegment\n"
    'ab\tcommon_voice_de_1.mp3\tx\tEr sagte "Nein.\t\t2\t0\ttwenties\tfemale_feminine\t\t\tde\t\n'
    "cd\tcommon_voice_de_2.mp3\ty\tDie Straße ist gesperrt.\t\t2\t0\t\t\tÖsterreich\t\tde\t\n"
)


def test_common_voice(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text(COMMON_VOICE, encoding="utf-8")
    items = open_public("common-voice-de", tmp_path, **{"common-voice-de": tmp_path})
    assert [item.utterance.text for item in items] == ['Er sagte "Nein.', "Die Straße ist gesperrt."]
    assert items[0].audio == tmp_path / "clips" / "common_voice_de_1.mp3"
    assert dict(items[0].utterance.tags) == {"tier": "read", "gender": "female_feminine", "age": "twenties"}
    assert [item.utterance.speaker for item in items] == ["ab", "cd"]
    (tmp_path / "test.tsv").write_text(COMMON_VOICE.splitlines()[0] + "\nab\tx.mp3\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.tsv:2: columns are missing"):
        open_public("common-voice-de", tmp_path, **{"common-voice-de": tmp_path})


def test_a_wrong_public_set_is_named_with_its_key(tmp_path: Path) -> None:
    text = find_benchmark("librispeech").read_text().replace('layout = "librispeech"', 'layout = "kaldi"')
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(DataError, match=r"mine\.toml: sets.0.public.layout"):
        read_benchmark(tmp_path / "mine.toml")
