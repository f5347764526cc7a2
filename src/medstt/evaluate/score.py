"""From references and recorded answers to counts: one row per utterance, one column per count.

Knows nothing of systems, of how rates are shown, or of intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from medstt.evaluate.answer import Answer
from medstt.evaluate.item import Item
from medstt.metrics.align import Alignment, align
from medstt.metrics.confidence import JudgedWord, bin_counts, judge_words
from medstt.metrics.count import ErrorCounts, count_errors, token_errors
from medstt.metrics.critical import Finding, find_critical
from medstt.metrics.invented import has_loop
from medstt.metrics.term import Mention, Spotter, count_terms, unknown_mentions
from medstt.text.normalise import canonicalise, normalise

DocumentCounter = Callable[[Item, Answer], dict[str, int]]


def _no_terms(tokens: Sequence[str], language: str) -> list[Mention]:
    return []


def _no_document(item: Item, answer: Answer) -> dict[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class Scorer:
    """What scoring needs beside the texts: a term spotter (from a lexicon) and a counter for written documents."""

    spot: Spotter = _no_terms
    count_document: DocumentCounter = _no_document


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """One utterance's counts, with what a reader may want to look at: alignment, findings, missed terms, words."""

    item: Item
    answer: Answer | None
    counts: Mapping[str, int]
    slices: Mapping[str, str]
    alignment: Alignment | None = None
    findings: tuple[Finding, ...] = ()
    missed: tuple[Mention, ...] = ()
    words: tuple[JudgedWord, ...] = field(default=(), repr=False)


def score_items(items: Sequence[Item], answers: Mapping[str, Answer], scorer: Scorer = Scorer()) -> list[ScoredItem]:
    """Score every item that was asked; items without any answer (budget, sample) are left out."""
    return [score_item(item, answers[item.key], scorer) for item in items if item.key in answers]


def score_item(item: Item, answer: Answer, scorer: Scorer = Scorer()) -> ScoredItem:
    """Score one answer. A failed request has no word counts: it counts as failed and as nothing else."""
    counts: dict[str, int] = {"requests": 1, "failed": int(answer.reply is None)}
    if answer.reply is None:
        return ScoredItem(item, answer, counts, slice_labels(item, None))
    text, heard, language = item.utterance.text, answer.reply.text, item.utterance.lang
    reference, hypothesis = canonicalise(text, language), canonicalise(heard, language)
    said_words = [token.text for token in reference]
    heard_words = [token.text for token in hypothesis]
    alignment = align(said_words, heard_words)
    content = count_errors(alignment)
    counts |= _columns("content", content)
    plain = align(normalise(text, language, "plain"), normalise(heard, language, "plain"))
    counts |= _columns("plain", count_errors(plain))
    verbatim = normalise(text, language, "verbatim"), normalise(heard, language, "verbatim")
    counts |= _columns("verbatim", token_errors(*verbatim))
    characters = token_errors(list(" ".join(said_words)), list(" ".join(heard_words)))
    counts |= {"char_errors": characters.errors, "char_length": characters.reference_length}
    counts |= {
        "empty_references": content.empty_references,
        "invented_utterances": int(content.invented > 0),
        "invented_words": content.invented,
        "loops": int(has_loop(said_words, heard_words)),
    }
    events, findings = find_critical(reference, hypothesis, alignment, language)
    counts |= {f"{kind}_events": number for kind, number in events.items()}
    for finding in findings:
        counts[f"{finding.kind}_{finding.how}"] = counts.get(f"{finding.kind}_{finding.how}", 0) + 1
    mentions = scorer.spot(said_words, language)
    if item.utterance.tags.get("unlisted"):
        mentions = mentions + unknown_mentions(said_words, item.utterance.terms, mentions)
    terms, missed = count_terms(alignment, mentions, scorer.spot(heard_words, language))
    words = judge_words(text, [(word.text, word.confidence) for word in answer.reply.words], plain)
    counts |= terms | bin_counts(words) | _speed(answer) | scorer.count_document(item, answer)
    labels = slice_labels(item, words)
    return ScoredItem(item, answer, counts, labels, alignment, tuple(findings), tuple(missed), tuple(words))


def _columns(level: str, counts: ErrorCounts) -> dict[str, int]:
    return {
        f"{level}_hits": counts.hits,
        f"{level}_substitutions": counts.substitutions,
        f"{level}_deletions": counts.deletions,
        f"{level}_insertions": counts.insertions,
        f"{level}_length": counts.reference_length,
        f"{level}_heard": counts.hypothesis_length,
        f"{level}_utterances": counts.utterances,
        f"{level}_perfect": counts.perfect,
    }


def _speed(answer: Answer) -> dict[str, int]:
    audio_ms = answer.reply.audio_ms if answer.reply else None
    return {"audio_ms": audio_ms, "wall_ms": answer.wall_ms, "cpu_ms": answer.cpu_ms} if audio_ms else {}


SYNTHETIC_TIERS = frozenset(
    {"trained", "unseen variant", "foreign engine", "noise"}
)  # every other tier is human speech
NOT_SLICES = frozenset({"written"})  # tags that hold text
_LENGTHS = ((0, "no words"), (5, "1-5 words"), (12, "6-12 words"), (25, "13-25 words"))
_CONFIDENCES = ((0.6, "below 0.6"), (0.8, "0.6-0.8"), (0.9, "0.8-0.9"))


def slice_labels(item: Item, words: Sequence[JudgedWord] | None) -> dict[str, str]:
    """Return the slices an utterance belongs to: language, speaker, set, length, mean confidence and its tags."""
    utterance = item.utterance
    length = len(utterance.text.split())
    tier = utterance.tags.get("tier", "")
    labels = {
        "pool": ("synthetic" if tier in SYNTHETIC_TIERS else "human") if tier else "unstated",
        "language": utterance.lang,
        "length": next((name for limit, name in _LENGTHS if length <= limit), "26 words and more"),
        **{key: str(value) for key, value in utterance.tags.items() if key not in NOT_SLICES},
    }
    if utterance.speaker:
        labels["speaker"] = utterance.speaker
    if item.set_name:
        labels["set"] = item.set_name
    if words:
        mean = sum(word.confidence for word in words) / len(words)
        labels["confidence"] = next((name for limit, name in _CONFIDENCES if mean < limit), "0.9 and above")
    return labels
