"""The written document against a written reference: entities as they must stand, punctuation, section titles.

Only utterances with a tag ``written`` (the document that the dictation asks for) are counted. The same entities are
looked for in the document made from audio and in the one made from the reference's own words, which tells which part
of the chain lost them. Knows nothing of word errors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from medstt.evaluate.answer import Answer
from medstt.evaluate.item import Item
from medstt.metrics.align import align

Writer = Callable[[str, str], str]  # words, language -> document

_UNIT = r"(?:\s?(?:(?:mg|mcg|µg|g|kg|ml|l|dl|mmol|mm|cm|m|mmHg|°C|units|Einheiten|IE|AM|PM|Uhr)(?:/\w+)?\b|%))?"
_ENTITY = re.compile(rf"(?<!\w)(?:[<>≤≥]\s?|[~±-])?\w*\d[\w.,:/x°+-]*{_UNIT}")
_TITLE = re.compile(r"^[ \t]*([^\W\d_][^\n:.]{1,58}):", re.MULTILINE)
_WORD_AND_MARK = re.compile(r"([\w<>≤≥°%µ/+-]+(?:[.,:]\d[\w/]*)*)([.,;:!?]?)[\")]*(\n*)")


def find_entities(document: str) -> Counter[str]:
    """Return the entities of a document (whatever holds a digit, with its unit) as they are written."""
    return Counter(match.group().rstrip(".,:;-/ ") for match in _ENTITY.finditer(document))


def find_titles(document: str) -> list[str]:
    """Return the section titles in order: what stands before a colon at the start of a line."""
    return [match.group(1).strip() for match in _TITLE.finditer(document)]


def find_marks(document: str) -> list[tuple[str, str]]:
    """Return each word in lower case with the mark after it; a line break counts as a mark."""
    return [
        (match.group(1).lower(), match.group(2) + ("\n" if match.group(3) else ""))
        for match in _WORD_AND_MARK.finditer(document.strip())
    ]


def count_document(written: str, given: str, heard: str) -> dict[str, int]:
    """Count a reference document against those made from its own words and from audio."""
    entities = find_entities(written)
    titles = find_titles(written)
    title_hits = sum(align(titles, find_titles(heard)).hits()) if titles else 0
    lost, events = mark_errors(find_marks(written), find_marks(heard))
    return {
        "entity_events": entities.total(),
        "entity_given_hits": (entities & find_entities(given)).total(),
        "entity_audio_hits": (entities & find_entities(heard)).total(),
        "section_events": len(titles),
        "section_hits": title_hits,
        "mark_events": events,
        "mark_errors": lost,
    }


def mark_errors(reference: list[tuple[str, str]], hypothesis: list[tuple[str, str]]) -> tuple[int, int]:
    """Return marks lost, gained or changed after words that came out equal, and the marks of those reference words."""
    alignment = align([word for word, _ in reference], [word for word, _ in hypothesis])
    errors = events = 0
    for chunk in alignment.chunks:
        if chunk.operation != "equal":
            continue
        for offset in range(chunk.ref_end - chunk.ref_start):
            said, heard = reference[chunk.ref_start + offset][1], hypothesis[chunk.hyp_start + offset][1]
            events += bool(said)
            errors += said != heard
    return errors, events


def document_counter(write: Writer) -> Callable[[Item, Answer], dict[str, int]]:
    """Return the counter that scoring calls: a system's own document if it made one, else ours from its words."""

    def count(item: Item, answer: Answer) -> dict[str, int]:
        written = item.utterance.tags.get("written")
        if not written or answer.reply is None:
            return {}
        language = item.utterance.lang
        own = answer.reply.written
        heard = own if own is not None else write(answer.reply.text, language)
        return count_document(written, write(item.utterance.text, language), heard)

    return count


def write_document(words: str, language: str) -> str:
    """Return the text that the dictation layer writes for some words."""
    from medstt.text.formatter import format as format_words

    return format_words(words, language, None).text
