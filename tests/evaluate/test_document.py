from __future__ import annotations

from pathlib import Path

from medstt.evaluate.answer import Answer
from medstt.evaluate.document import count_document, document_counter, find_entities, find_titles, mark_errors
from medstt.evaluate.item import items_of
from medstt.evaluate.system import Reply
from medstt.values import Utterance

WRITTEN = "Medication:\nMetoprolol 47.5 mg, 1-0-1.\nBlood pressure 120/80, INR < 2.0."


def test_entities_are_what_holds_a_digit_with_its_unit() -> None:
    assert set(find_entities(WRITTEN)) == {"47.5 mg", "1-0-1", "120/80", "< 2.0"}
    assert set(find_entities("L5/S1, 3,5 cm, 91 % und <5")) == {"L5/S1", "3,5 cm", "91 %", "<5"}


def test_titles_stand_before_a_colon_at_the_start_of_a_line() -> None:
    assert find_titles("Befund: Herz.\nam 3. Mai: x\nProcedere:\n") == ["Befund", "Procedere"]


def test_the_part_of_the_chain_that_lost_an_entity_is_told_apart() -> None:
    given = WRITTEN.replace("1-0-1", "1 0 1")
    heard = WRITTEN.replace("47.5 mg", "475 mg").replace("Medication:", "Medication")
    counts = count_document(WRITTEN, given, heard)
    assert (counts["entity_events"], counts["entity_given_hits"], counts["entity_audio_hits"]) == (4, 3, 3)
    assert (counts["section_events"], counts["section_hits"]) == (1, 0)


def test_marks_are_compared_after_words_that_came_out() -> None:
    assert mark_errors([("no", ""), ("fever", "."), ("pain", ",")], [("no", ","), ("fever", "."), ("rain", "")]) == (
        1,
        1,
    )


def test_only_utterances_with_a_written_reference_are_counted() -> None:
    count = document_counter(lambda words, language: words.replace(" period", "."))
    plain, written = items_of(
        [Utterance("a", "a", "x", "en"), Utterance("b", "b", "take 5 mg period", "en", tags={"written": "take 5 mg."})],
        Path("x"),
    )
    answer = Answer("b", Reply("take 5 mg period"), None, 1, 1)
    assert count(plain, answer) == {}
    assert count(written, answer)["entity_audio_hits"] == 1
    own = Answer("b", Reply("take five mg", written="take five mg."), None, 1, 1)
    assert count(written, own)["entity_audio_hits"] == 0
    assert count(written, own)["mark_errors"] == 0
