from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from medstt.errors import VocabError
from medstt.store.vocabulary import Place, Vocabularies
from medstt.values import Audio, Document, Flag, Hypothesis, ModelRef, Segment, Span, Transcript, Word
from medstt.work.content import (
    decode_document,
    decode_transcript,
    encode_document,
    encode_transcript,
    verbatim_document,
)
from medstt.work.facts import measure, signal_to_noise_db
from medstt.work.log import Log
from medstt.work.process import Style
from medstt.work.remap import remap
from medstt.work.team import TeamFormatters, TeamWriter, check_lists


def heard(text: str, language: str = "en") -> Transcript:
    words = tuple(Word(word, Segment(n * 100, n * 100 + 90), 0.8) for n, word in enumerate(text.split()))
    hypothesis = Hypothesis(Segment(0, 6000), words, -0.2, 0.01, language)
    return Transcript("a.wav", "0" * 64, 6000, language, ModelRef("m", "d"), "s", (hypothesis,), ("a warning",))


def test_transcripts_and_documents_survive_storage() -> None:
    transcript = heard("no fever today")
    document = Document("No fever.", "en", (Span(0, 2, (0,), "x"),), (), (Flag(0, 2, "r", "m", "critical", (0,)),))
    assert decode_transcript(json.loads(json.dumps(encode_transcript(transcript)))) == transcript
    assert decode_document(json.loads(json.dumps(encode_document(document)))) == document
    plain = verbatim_document(transcript)
    assert [plain.text[span.start : span.end] for span in plain.spans] == ["no", "fever", "today"]


def test_a_correction_moves_spans_and_drops_those_it_touched() -> None:
    document = verbatim_document(heard("no fever today"))
    moved = remap(document, "There is no cough today")
    assert [(moved.text[span.start : span.end], span.words) for span in moved.spans] == [("no", (0,)), ("today", (2,))]
    assert remap(document, "").spans == ()
    grown = remap(verbatim_document(heard("patient is well")), "patient is unwell")
    assert [grown.text[span.start : span.end] for span in grown.spans] == ["patient", "is"]
    assert remap(document, document.text) == document


def test_facts_are_measured_without_words() -> None:
    t = np.arange(16000 * 6)
    quiet_then_loud = np.where(t < 48000, 0.001, 0.3) * np.sin(t * 0.1)
    audio = Audio(quiet_then_loud.astype(np.float32), "0" * 64, "a.wav")
    transcript = heard("no fever today")
    facts = measure(audio, transcript, verbatim_document(transcript), lambda words: 1, {"formatter_digest": "f"})
    assert facts["out_of_lexicon_share"] == pytest.approx(2 / 3, abs=1e-3)
    assert facts["words_per_minute"] == 30.0
    assert facts["snr_db"] == pytest.approx(49.5, abs=1)
    assert "fever" not in json.dumps(facts)
    assert signal_to_noise_db(np.zeros(100, np.float32)) is None


def test_the_teams_lists_are_used_and_the_users_wins(lists: Vocabularies, tmp_path: Path) -> None:
    write = TeamWriter(TeamFormatters(lists, tmp_path / "cache"))
    style = Style("a", "cardio", "Dr. A")
    words = [{"term": "Zubrolex", "kind": "drug", "language": "en", "spoken": [], "variants": []}]
    lists.put("a", Place("site", "", "words"), words, 0, "x")
    text = {"name": "normal heart", "language": "en", "spoken": [], "text": "Heart sounds normal."}
    lists.put("a", Place("site", "", "autotexts"), [text], 0, "x")
    lists.put("a", Place("user", "Dr. A", "autotexts"), [text | {"text": "S1 and S2 normal."}], 0, "x")
    first = write(heard("insert normal heart"), style)
    assert first.document.text == "S1 and S2 normal."
    assert write(heard("insert normal heart"), Style("a", "", "Dr. B")).document.text == "Heart sounds normal."
    assert first.known(["Zubrolex", "blah"]) == 1
    other = write(heard("hello"), Style("b", "", "Dr. A"))
    assert other.digests["team_digest"] != first.digests["team_digest"]
    assert other.digests["formatter_digest"] == first.digests["formatter_digest"]


def test_lists_that_cannot_be_used_are_refused() -> None:
    check_lists("autotexts", [{"name": "a", "language": "de", "spoken": ["x"], "text": 'Quote " \\ und ä\n'}])
    with pytest.raises(VocabError, match="circle"):
        check_lists("autotexts", [{"name": "a", "language": "en", "spoken": [], "text": "{insert:a}"}])
    section = {"key": "k", "title": "K", "spoken": [], "required": False}
    check_lists("templates", [{"name": "t", "language": "en", "sections": [section], "default": "k"}])
    with pytest.raises(VocabError, match="no section"):
        check_lists("templates", [{"name": "t", "language": "en", "sections": [section], "default": "z"}])


def test_the_log_takes_listed_fields_only() -> None:
    stream = io.StringIO()
    log = Log("info", stream)
    log.event("request", status=200, code=None)
    log.event("hidden", "debug")
    try:
        raise ValueError("Mr. Smith has a fever")
    except ValueError as error:
        log.failure("boom", error)
    with pytest.raises(ValueError, match="text"):
        log.event("request", text="Mr. Smith")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["request", "boom"]
    assert lines[1]["error"] == "ValueError"
    assert "Smith" not in stream.getvalue()
