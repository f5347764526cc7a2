"""References that several systems agree against, listed for a person to hear; and reviewed corrections of them.

Knows nothing of how a correction was decided: it is recorded with who and why.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medstt.errors import DataError
from medstt.evaluate.answer import Answer
from medstt.evaluate.item import Item
from medstt.metrics.align import align
from medstt.text.normalise import normalise


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stretch of a reference that ``systems`` systems heard in one other way."""

    key: str
    reference: str
    heard: str
    systems: int
    of: int
    text: str


def doubt_references(items: Sequence[Item], runs: Sequence[Mapping[str, Answer]], agreeing: int = 2) -> list[Doubt]:
    """Return stretches where at least ``agreeing`` systems agree with each other and not with the reference.

    Most agreement first. That systems agree doesn't make them right: a person listens and decides.
    """
    doubts: list[Doubt] = []
    for item in items:
        answers = [run[item.key].reply for run in runs if item.key in run]
        texts = [reply.text for reply in answers if reply is not None]
        if len(texts) >= agreeing:
            doubts += _doubts_of(item, texts, agreeing)
    return sorted(doubts, key=lambda doubt: (-doubt.systems / doubt.of, -doubt.systems, doubt.key))


def _doubts_of(item: Item, texts: Sequence[str], agreeing: int) -> Iterator[Doubt]:
    language = item.utterance.lang
    reference = normalise(item.utterance.text, language)
    votes: Counter[tuple[int, int, str]] = Counter()
    for text in texts:
        heard = normalise(text, language)
        for region in align(reference, heard).regions():
            votes[region.ref_start, region.ref_end, " ".join(heard[region.hyp_start : region.hyp_end])] += 1
    for (start, end, other), count in votes.items():
        if count >= agreeing:
            said = " ".join(reference[start:end])
            yield Doubt(item.key, said, other, count, len(texts), item.utterance.text)


def apply_fixes(items: Sequence[Item], path: Path) -> list[Item]:
    """Return items with reviewed references; raises DataError for a fix that does not fit.

    One JSON object a line: ``id``, ``was``, ``text``, ``who``, ``why``; it applies only where ``was`` is the reference.
    """
    fixes = _read_fixes(path)
    fixed = []
    for item in items:
        fix = fixes.pop(item.utterance.id, None)
        if fix is None:
            fixed.append(item)
            continue
        if fix["was"] != item.utterance.text:
            raise DataError(
                f"{path.name}: {item.utterance.id}: the reference is no longer what was fixed", "Review it again"
            )
        fixed.append(replace(item, utterance=replace(item.utterance, text=fix["text"])))
    if fixes:
        raise DataError(f"{path.name}: no utterance of id {sorted(fixes)[0]!r}", "Correct the id")
    return fixed


def _read_fixes(path: Path) -> dict[str, dict[str, str]]:
    fixes: dict[str, dict[str, str]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", "Check the benchmark's fixes") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            missing = [key for key in ("id", "was", "text", "who", "why") if not isinstance(row[key], str)]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path.name}:{number}: not a fix ({error})", "Give id, was, text, who and why") from error
        if missing or row["id"] in fixes:
            raise DataError(
                f"{path.name}:{number}: not a fix, or the second of its id", "Give id, was, text, who and why"
            )
        fixes[row["id"]] = row
    return fixes
