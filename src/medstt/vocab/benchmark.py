"""Timing the lexicon at the size of a large hospital's: synthetic terms, CPU seconds, peak memory.

The terms are made up of syllables, so figures speak of size, not of contents. Knows nothing of terminals.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from medstt.vocab.lexicon import load_lexicon
from medstt.vocab.term import Layer, Term
from medstt.vocab.write import write_terms

SYLLABLES = "ba ce di fo gu la me ni po ru sa te vi xo za lin mab nib pra sar tan zol".split()
SEED = 5
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Figures:
    """CPU seconds of each step and the process's peak memory in MiB."""

    terms: int
    words: int
    load_s: float
    first_lookup_s: float
    lookup_s: float
    search_s: float
    first_spot_s: float
    spot_s: float
    mentions: int
    peak_mib: float


def make_terms(count: int) -> list[Term]:
    """Make that many different drug names of two to five syllables, one in four of two words."""
    chooser = random.Random(SEED)
    names: set[str] = set()
    while len(names) < count:
        words = 2 if chooser.random() < 0.25 else 1
        names.add(" ".join("".join(chooser.choices(SYLLABLES, k=chooser.randint(3, 6))) for _ in range(words)))
    return [Term(name, "drug", "de", code="N02BE01", source="synthetic") for name in sorted(names)]


def measure(terms: int = 50_000, words: int = 100_000) -> Figures:
    """Load ``terms`` synthetic terms from a table; time lookup, search and spotting in ``words`` words."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "de" / "synthetic.tsv"
        made = make_terms(terms)
        write_terms(table, made)
        load_s, lexicon = _timed(lambda: load_lexicon("de", [Layer("site", table)], builtin=False))
    chooser = random.Random(SEED)
    wanted = [chooser.choice(made).text for _ in range(1000)]
    first_lookup_s, _ = _timed(lambda: lexicon.find(wanted[0]))
    lookup_s, _ = _timed(lambda: [lexicon.find(name) for name in wanted])
    lexicon.search(wanted[0])
    search_s, _ = _timed(lambda: [lexicon.search(name[:-1]) for name in wanted[:20]])
    filler = "der Patient erhielt gestern morgens eine Dosis und wurde danach beschwerdefrei entlassen".split()
    text = " ".join(chooser.choice(wanted) if index % 10 == 0 else chooser.choice(filler) for index in range(words))
    first_spot_s, _ = _timed(lambda: lexicon.spot("Patient"))
    spot_s, mentions = _timed(lambda: lexicon.spot(text))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Figures(
        len(lexicon), words, load_s, first_lookup_s, lookup_s / len(wanted), search_s / 20, first_spot_s, spot_s,
        len(mentions), peak,
    )  # fmt: skip


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result
