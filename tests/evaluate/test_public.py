from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest

from medstt.errors import DataError
from medstt.evaluate.primock import read_primock
from medstt.manifest import read_manifest

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


def test_a_public_set_in_parquet_is_read_by_a_column_mapping(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    from medstt.evaluate.public import import_dataset, read_mapping

    audio = [{"bytes": wav_bytes(), "path": f"{n}.wav"} for n in range(3)]
    columns = {"audio": audio, "transcription": ["no fever", "Hyper", ""], "speaker_id": [7, 8, 9], "accent": ["a"] * 3}
    (tmp_path / "set").mkdir()
    parquet.write_table(pa.table(columns), tmp_path / "set" / "test-00000-of-00001.parquet")
    toml = tmp_path / "set.toml"
    toml.write_text(
        'name = "demo"\nlanguage = "en"\ntext = "transcription"\nspeaker = "speaker_id"\ntier = "read"\n'
        '[tags]\naccent = "accent"\n'
    )
    utterances = read_manifest(import_dataset(read_mapping(toml), tmp_path / "set", tmp_path / "out"))
    assert [u.text for u in utterances] == ["no fever", "Hyper", ""]
    assert utterances[0].speaker == "7"
    assert dict(utterances[0].tags) == {"tier": "read", "accent": "a"}
    assert (tmp_path / "out" / utterances[2].audio).read_bytes() == wav_bytes()
    toml.write_text(toml.read_text().replace('"transcription"', '"words"'))
    with pytest.raises(DataError, match="no column 'words'"):
        import_dataset(read_mapping(toml), tmp_path / "set", tmp_path / "out")
    toml.write_text('name = "demo"\nlanguage = "fr"\ntier = "read"\n')
    with pytest.raises(DataError, match=r"set\.toml: language"):
        read_mapping(toml)
