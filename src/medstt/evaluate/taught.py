"""How many of a site's terms a run got right, and how often it wrote one that nobody said.

Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from medstt.errors import DataError
from medstt.evaluate.run import Run
from medstt.metrics.align import align
from medstt.text.normalise import canonicalise
from medstt.values import LANGUAGES
from medstt.vocab import Layer, Lexicon, load_lexicon
from medstt.vocab.term import KINDS


@dataclass(frozen=True, slots=True)
class Share:
    """``count`` of ``of`` with a 95 % Wilson interval, as shares (0-1)."""

    count: int
    of: int
    low: float
    high: float

    def __str__(self) -> str:
        """Return "150 of 200 (68.6-80.5 %)"."""
        return f"{self.count} of {self.of} ({100 * self.low:.1f}-{100 * self.high:.1f} %)"


@dataclass(frozen=True, slots=True)
class TaughtScore:
    """A run on terms: those said that came out whole, and sentences without any that got one."""

    right: frozenset[tuple[str, str]]  # (utterance, term and its place)
    said: frozenset[tuple[str, str]]
    plain: int
    invented: int

    @property
    def recall(self) -> Share:
        """Terms right of terms said."""
        return make_share(len(self.right), len(self.said))

    @property
    def false_insertions(self) -> Share:
        """Sentences without a term that got one, of sentences without a term."""
        return make_share(self.invented, self.plain)


def make_share(count: int, of: int) -> Share:
    """Return a share with its interval; 0..1 where there is nothing."""
    if not of:
        return Share(0, 0, 0.0, 1.0)
    interval = binomtest(count, of).proportion_ci(0.95, method="wilson")
    return Share(count, of, float(interval.low), float(interval.high))


def open_terms(path: Path) -> dict[str, Lexicon]:
    """Return the lexicons of a site's table or folder alone, by language; raises VocabError."""
    return {lang: load_lexicon(lang, [Layer("site", path)], builtin=False) for lang in LANGUAGES}


def score_terms(run: Run, lexicons: dict[str, Lexicon]) -> TaughtScore:
    """Count a run's answers; a term is right when each of its words came out where it was said.

    Raises DataError if no utterance says a term.
    """
    right, said = set(), set()
    plain = invented = 0
    answers = run.answers()
    for item in run.items:
        answer = answers.get(item.key)
        if answer is None or answer.reply is None:
            continue
        lang = item.utterance.lang
        reference = [token.text for token in canonicalise(item.utterance.text, lang)]
        hypothesis = [token.text for token in canonicalise(answer.reply.text, lang)]
        mentions = _spot(lexicons[lang], reference)
        if not mentions:
            plain += 1
            invented += bool(_spot(lexicons[lang], hypothesis))
            continue
        hits = align(reference, hypothesis).hits()
        for name, start, end in mentions:
            key = (item.key, f"{name} {start}")
            said.add(key)
            if all(hits[start:end]):
                right.add(key)
    if not said:
        raise DataError(
            f"{run.folder}: no utterance says one of these terms", "Give the terms that the speech is about"
        )
    return TaughtScore(frozenset(right), frozenset(said), plain, invented)


def _spot(lexicon: Lexicon, tokens: Sequence[str]) -> list[tuple[str, int, int]]:
    return [(found.term.text, found.start, found.end) for found in lexicon.spot(tokens, kinds=KINDS)]


def format_taught(first: Run, second: Run, one: TaughtScore, two: TaughtScore) -> str:
    """Return what two runs got right, what the second gained and lost, and false insertions of both."""
    gained, lost = len(two.right - one.right), len(one.right - two.right)
    return "\n".join([
        f"terms right, {first.name}: {one.recall}",
        f"terms right, {second.name}: {two.recall}; {gained} gained, {lost} lost",
        f"sentences without a term that got one: {one.false_insertions} before, {two.false_insertions} after",
    ])  # fmt: skip
