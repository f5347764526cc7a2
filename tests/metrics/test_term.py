from __future__ import annotations

from medstt.metrics.align import align
from medstt.metrics.rate import SAID
from medstt.metrics.term import Mention, count_terms, unknown_mentions


def mention(key: str, at: int, kind: str = "drug", words: int = 1, **more: object) -> Mention:
    return Mention(key, kind, at, at + words, **more)  # type: ignore[arg-type]


def test_terms_are_counted_by_kind_and_status() -> None:
    reference = "give metoprolol for atrial fibrillation and xanoprim".split()
    hypothesis = "give metoprolol for atrial vibration and".split()
    counts, missed = count_terms(
        align(reference, hypothesis),
        [
            mention("metoprolol", 1),
            mention("atrial fibrillation", 3, "condition", 2),
            mention("xanoprim", 6, status="unknown"),
        ],
        [mention("metoprolol", 1)],
    )
    assert (counts["term_events"], counts["term_missed"], counts["term_words"], counts["term_word_errors"]) == (
        3,
        2,
        4,
        2,
    )
    assert (counts["drug_events"], counts["drug_missed"]) == (2, 1)
    assert (counts["drug_heard_missed"], counts["drug_unknown_missed"]) == (0, 1)
    assert (counts["kind_condition_events"], counts["kind_condition_missed"]) == (1, 1)
    assert (counts["term_heard"], counts["term_matched"], counts["term_spurious"]) == (1, 1, 0)
    assert [m.key for m in missed] == ["atrial fibrillation", "xanoprim"]


def test_a_look_alike_in_the_place_of_a_drug_is_a_swap_and_spurious() -> None:
    reference, hypothesis = "start hydralazine today".split(), "start hydroxyzine today".split()
    said = [mention("hydralazine", 1, twins=frozenset({"hydroxyzine"}))]
    counts, _ = count_terms(align(reference, hypothesis), said, [mention("hydroxyzine", 1)])
    assert (counts["twin_events"], counts["twin_swaps"], counts["term_spurious"]) == (1, 1, 1)
    counts, _ = count_terms(align(reference, "start it today".split()), said, [])
    assert (counts["twin_events"], counts["twin_swaps"]) == (1, 0)


def test_unlisted_drugs_are_found_by_the_terms_of_the_text() -> None:
    tokens = "take zorbamin and aspirin".split()
    found = unknown_mentions(tokens, ["Zorbamin", "aspirin"], [mention("aspirin", 3)])
    assert [(m.key, m.status, m.start) for m in found] == [("zorbamin", "unknown", 1)]


def test_drugs_are_counted_by_how_often_training_said_them() -> None:
    reference = "give aspirin and zorbamin and metoprolol".split()
    hypothesis = "give aspirin and sore and metal".split()
    said = [mention("aspirin", 1, said=250), mention("zorbamin", 3, said=0), mention("metoprolol", 5, said=12)]
    assert [m.band for m in said] == ["100", "0", "10_99"]
    assert mention("x", 0).band == ""
    counts, _ = count_terms(align(reference, hypothesis), said, [])
    assert [counts[f"drug_said_{name}_missed"] for name in ("0", "10_99", "100")] == [1, 1, 0]
    assert {band for m in (0, 1, 9, 10, 99, 100) if (band := mention("x", 0, said=m).band)} == set(SAID)
