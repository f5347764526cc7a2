"""Doubts for the reader: look-alike drugs, doses out of the site's range, bare numbers, both sides, weak confidence.

Flags never change the text. Knows nothing of how the text was made but its spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medstt.text.pack import Pack
from medstt.text.style import Style
from medstt.values import Choice, Flag, Span
from medstt.vocab.lexicon import Lexicon
from medstt.vocab.term import Mention

ABBREVIATION = re.compile(r"^[A-ZÄÖÜ]{2,5}$")
ROMAN = re.compile(r"^[IVX]+$")
VALUE = re.compile(r"^\d+(?:[.,]\d+)?$")
DRUGS = ("drug", "brand")
SCHEDULE = (
    "daily",
    "twice",
    "once",
    "every",
    "three",
    "four",
    "nightly",
    "bid",
    "tid",
    "qid",
    "prn",
    "by",
    "orally",
    "po",
    "täglich",
    "morgens",
    "abends",
    "mittags",
    "einmal",
    "zweimal",
    "dreimal",
    "viermal",
    "zur",
    "pro",
    "am",
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recogniser says: confidence by word index, the other readings' words, and the names it weighed.

    ``first`` and ``last`` of a choice count the words of the whole recording.
    """

    confidence: Mapping[int, float]
    others: Mapping[int, frozenset[str]]
    choices: Sequence[Choice] = ()


NOTHING_HEARD = Heard({}, {})


def find_flags(
    text: str, spans: Sequence[Span], pack: Pack, style: Style, lexicon: Lexicon, heard: Heard
) -> tuple[Flag, ...]:
    """Return every doubt about the text, in order of place."""
    visible = sorted((span for span in spans if span.end > span.start), key=lambda span: span.start)
    words = [text[span.start : span.end] for span in visible]
    drugs = lexicon.spot(words, ("drug", "brand"))
    flags = [
        *_confidence(visible, words, pack, style, heard),
        *_sides(text, visible, words, pack),
        *_abbreviations(visible, words, pack, lexicon),
        *_doses(visible, words, drugs, style),
        *_twins(visible, drugs, lexicon, style, heard),
    ]
    known = {(flag.start, flag.end, flag.reason) for flag in flags}
    flags += [flag for flag in _choices(visible, heard) if (flag.start, flag.end, flag.reason) not in known]
    return tuple(sorted(flags, key=lambda flag: (flag.start, flag.end, flag.reason)))


def _confidence(spans: Sequence[Span], words: Sequence[str], pack: Pack, style: Style, heard: Heard) -> Iterator[Flag]:
    """Numbers and negations that the recogniser was unsure of."""
    if not heard.confidence:
        return
    for span, word in zip(spans, words, strict=True):
        weakest = min((heard.confidence.get(index, 1.0) for index in span.words), default=1.0)
        if weakest >= style.doubt_below or span.origin != "words":
            continue
        if any(letter.isdigit() for letter in word):
            message = f"The number {word!r} was heard with confidence {weakest:.2f}."
            yield Flag(span.start, span.end, "low_confidence_number", message, "warning", span.words)
        elif word.lower() in pack.sets["negations"]:
            message = f"The negation {word!r} was heard with confidence {weakest:.2f}."
            yield Flag(span.start, span.end, "low_confidence_negation", message, "critical", span.words)


def _sentences(spans: Sequence[Span], words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Index ranges of the sentences."""
    start = 0
    for index, (span, word) in enumerate(zip(spans, words, strict=True)):
        if word in (".", "?", "!") or "\n" in word or (word[-1:] == "." and span.origin == "template"):
            yield start, index
            start = index + 1
    yield start, len(spans)


def _sides(text: str, spans: Sequence[Span], words: Sequence[str], pack: Pack) -> Iterator[Flag]:
    """Left and right both in one sentence, without a word for both sides."""
    for start, stop in _sentences(spans, words):
        lows = [word.lower() for word in words[start:stop]]
        lefts = [start + k for k, low in enumerate(lows) if low in pack.sets["left"]]
        rights = [start + k for k, low in enumerate(lows) if low in pack.sets["right"]]
        if not lefts or not rights or pack.sets["both_sides"] & set(lows):
            continue
        first, last = spans[min(lefts + rights)], spans[max(lefts + rights)]
        message = f"{text[first.start : first.end]!r} and {text[last.start : last.end]!r} stand in one sentence."
        yield Flag(first.start, last.end, "both_sides", message, "warning", first.words + last.words)


def _abbreviations(spans: Sequence[Span], words: Sequence[str], pack: Pack, lexicon: Lexicon) -> Iterator[Flag]:
    """Capital abbreviations that neither the lexicon nor the pack knows."""
    for span, word in zip(spans, words, strict=True):
        if not ABBREVIATION.match(word) or ROMAN.match(word) or word in pack.written or "caps" in span.rule:
            continue
        if span.origin == "words" and not lexicon.find(word):
            message = f"{word!r} is not a known abbreviation."
            yield Flag(span.start, span.end, "unknown_abbreviation", message, "info", span.words)


def _doses(spans: Sequence[Span], words: Sequence[str], drugs: Sequence[Mention], style: Style) -> Iterator[Flag]:
    """A bare number after a drug, and a dose outside the range that the site has supplied."""
    for mention in drugs:
        place = mention.end
        if place >= len(spans) or not VALUE.match(words[place]):
            continue
        following = words[place + 1] if place + 1 < len(words) else ""
        used = spans[place].words
        if not following or following in (".", ",", ";") or "\n" in following or following.lower() in SCHEDULE:
            message = f"{mention.text} {words[place]}: no unit was dictated."
            yield Flag(spans[place].start, spans[place].end, "number_without_unit", message, "warning", used)
            continue
        usual = style.dose_ranges.get(mention.text.lower()) or style.dose_ranges.get(mention.term.text.lower())
        value = float(words[place].replace(style.group_sign, "").replace(style.decimal_sign, "."))
        if usual and following == usual.unit and not usual.low <= value <= usual.high:
            low, high = f"{usual.low:g}", f"{usual.high:g}"
            message = (
                f"{mention.text} {words[place]} {following} is outside the site's range {low}-{high} {usual.unit}."
            )
            yield Flag(spans[place].start, spans[place + 1].end, "dose_out_of_range", message, "critical", used)


def _twins(
    spans: Sequence[Span], drugs: Sequence[Mention], lexicon: Lexicon, style: Style, heard: Heard
) -> Iterator[Flag]:
    """A drug whose look-alike twin the other readings hold, or which was heard with little confidence."""
    if not heard.confidence and not heard.others:
        return
    for mention in drugs:
        used = tuple(index for span in spans[mention.start : mention.end] for index in span.words)
        twins = [twin for twin in lexicon.twins(mention.text) if twin.checked]
        if not twins or not used:
            continue
        weakest = min(heard.confidence.get(index, 1.0) for index in used)
        others = frozenset().union(*(heard.others.get(index, frozenset()) for index in used))
        named = [twin.term.text for twin in twins if twin.term.text.lower() in others]
        start, end = spans[mention.start].start, spans[mention.end - 1].end
        if named:
            message = f"Another reading has {named[0]!r} instead of {mention.text!r}."
            yield Flag(start, end, "look_alike", message, "critical", used)
        elif weakest < style.doubt_below:
            twin = twins[0].term.text
            message = f"{mention.text!r} was heard with confidence {weakest:.2f}; it is easily taken for {twin!r}."
            yield Flag(start, end, "look_alike", message, "warning", used)


def _choices(spans: Sequence[Span], heard: Heard) -> Iterator[Flag]:
    """Names that the recogniser weighed against others of like sound: what it wrote and what it might have been."""
    for choice in heard.choices:
        used = range(choice.first, choice.last)
        found = [span for span in spans if not set(span.words).isdisjoint(used)]
        if not found:
            continue
        start, end, words = found[0].start, found[-1].end, tuple(used)
        others = [reading for reading in choice.readings if reading.text != choice.written]
        other = others[0] if others else None
        if choice.reason == "replaced":
            message = (
                f"{choice.written!r} was written for {choice.heard!r}: a name of the vocabulary that sounds alike."
            )
            yield Flag(start, end, "name_replaced", message, "warning", words)
        elif other is not None and choice.reason == "look_alike":
            message = f"{choice.written!r} may be {other.text!r} (probability {other.probability:.2f}), a look-alike."
            yield Flag(start, end, "look_alike", message, "critical", words)
        elif other is not None:
            message = f"{choice.written!r} may be {other.text!r} (probability {other.probability:.2f})."
            yield Flag(start, end, "name_doubt", message, "warning", words)
