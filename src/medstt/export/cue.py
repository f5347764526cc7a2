"""Subtitle cues from words: readable lines, never across a pause between segments; SRT and WebVTT share them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from medstt.values import Segment, Transcript, Word

LINE = 42  # characters, the usual limit for subtitles
LINES = 2
MAX_MS = 7_000
MIN_MS = 500


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from when to when."""

    segment: Segment
    lines: tuple[str, ...]


def make_cues(transcript: Transcript) -> list[Cue]:
    """Return the cues of a transcript in order of time, non-overlapping, each at least a millisecond long."""
    groups = [group for hypothesis in transcript.hypotheses for group in _groups(hypothesis.words)]
    cues = []
    for number, group in enumerate(groups):
        start = group[0].segment.start_ms
        following = groups[number + 1][0].segment.start_ms if number + 1 < len(groups) else None
        end = max(group[-1].segment.end_ms, start + MIN_MS)
        if following is not None:
            end = min(end, max(following, start + 1))
        cues.append(Cue(Segment(start, end), tuple(_wrap([word.text for word in group]))))
    return cues


def _groups(words: tuple[Word, ...]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        candidate = [*group, word]
        too_long = word.segment.end_ms - candidate[0].segment.start_ms > MAX_MS
        if group and (too_long or len(_wrap([item.text for item in candidate])) > LINES):
            yield group
            candidate = [word]
        group = candidate
    if group:
        yield group


def _wrap(words: list[str]) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def write_time(ms: int, point: str) -> str:
    """Write milliseconds as hours, minutes, seconds and thousandths."""
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"
