from __future__ import annotations

import itertools
import json
import re

import pytest

from medstt.errors import OptionError
from medstt.export import check_formats, render
from medstt.values import Document, Flag, Hypothesis, ModelRef, Section, Segment, Transcript, Word


def hear(text: str, start_ms: int, step_ms: int = 400) -> Hypothesis:
    words = tuple(
        Word(word, Segment(start_ms + i * step_ms, start_ms + (i + 1) * step_ms), 0.912345)
        for i, word in enumerate(text.split())
    )
    end_ms = start_ms + step_ms * len(words)
    return Hypothesis(Segment(start_ms, end_ms), words, -0.123456, 0.01, "en")


def make(*hypotheses: Hypothesis) -> Transcript:
    return Transcript("a.wav", "d" * 64, 20_000, "en", ModelRef("m", "e" * 64), "f" * 64, hypotheses, ("clipped: 1 %",))


TRANSCRIPT = make(hear("no acute <disease> & comma", 0), hear("fünf milligramm", 5_000))
DOCUMENT = Document(
    "No acute disease,\nFünf mg",
    "en",
    (),
    (Section("f", "Findings", 0, 5),),
    (Flag(0, 2, "negation", "m", "critical", (0,)),),
)


def test_text_is_the_document_or_the_verbatim_words() -> None:
    assert render("txt", TRANSCRIPT) == "no acute <disease> & comma fünf milligramm\n".encode()
    assert render("txt", TRANSCRIPT, DOCUMENT) == "No acute disease,\nFünf mg\n".encode()
    assert render("txt", make()) == b""


def test_json_has_the_agreed_keys() -> None:
    row = json.loads(render("json", TRANSCRIPT, DOCUMENT))
    assert {
        "verbatim", "text", "language", "duration_ms", "words", "segments", "flags", "warnings", "model",
        "settings_digest", "audio_digest",
    } <= set(row)  # fmt: skip
    assert row["verbatim"] == TRANSCRIPT.text
    assert row["text"] == DOCUMENT.text
    assert row["words"][0] == {"text": "no", "start_ms": 0, "end_ms": 400, "confidence": 0.9123}
    assert row["model"] == {"name": "m", "digest": "e" * 64}
    assert row["flags"][0]["reason"] == "negation"
    assert [segment["start_ms"] for segment in row["segments"]] == [0, 5_000]


def test_json_flags_a_recording_without_speech() -> None:
    row = json.loads(render("json", make()))
    assert row["verbatim"] == row["text"] == ""
    assert [flag["reason"] for flag in row["flags"]] == ["no_speech"]


def test_subtitles() -> None:
    srt = render("srt", TRANSCRIPT).decode()
    assert srt.startswith("1\n00:00:00,000 --> 00:00:02,000\nno acute <disease> & comma\n\n2\n00:00:05,000 -->")
    vtt = render("vtt", TRANSCRIPT, DOCUMENT).decode()
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nno acute &lt;disease&gt; &amp; comma\n")
    assert render("vtt", make()) == b"WEBVTT\n"
    assert render("srt", make()) == b""


@pytest.mark.parametrize("step_ms", [1, 90, 400, 9_000])
def test_cues_are_short_ordered_and_lose_nothing(step_ms: int) -> None:
    long = " ".join(f"word{number}" for number in range(120)) + " " + "x" * 60
    transcript = make(hear(long, 3_599_000, step_ms), hear("the end", 3_599_000 + 130 * step_ms, step_ms))
    blocks = [block.split("\n") for block in render("srt", transcript).decode().strip().split("\n\n")]
    assert " ".join(line for block in blocks for line in block[2:]) == transcript.text
    assert all(len(block) <= 4 for block in blocks)
    assert all(len(line) <= 42 for block in blocks for line in block[2:] if " " in line)
    times = [[_ms(time) for time in block[1].split(" --> ")] for block in blocks]
    assert all(start < end for start, end in times)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times)) or step_ms == 1


def _ms(text: str) -> int:
    hours, minutes, seconds, ms = (int(part) for part in re.split("[:,]", text))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms


def test_unknown_format_is_named_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"'pdf'.*txt, json, srt, vtt"):
        check_formats(["txt", "pdf"])
    with pytest.raises(OptionError):
        check_formats([])
    assert check_formats(["txt", "json", "txt"]) == ("txt", "json")
