"""Do other programs hear the same with the same model: error rates in groups of equal context, beam and names.

Knows nothing of how the programs are started.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.evaluate.item import Item
from medstt.evaluate.run import Run, create_run, transcribe_run
from medstt.evaluate.score import score_items
from medstt.evaluate.system import System
from medstt.evaluate.table import estimate_rates, tabulate
from medstt.metrics.rate import RATE
from medstt.text.normalise import normalise

POINTS = 0.3
RATE_KEY = "wer_content"


@dataclass(frozen=True, slots=True)
class Peer:
    """One program on one model: the group of programs it is compared with, and how it is opened."""

    group: str
    name: str
    open: Callable[[], System]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one program came to: word error rate in percent (None: nothing scored), words, failed requests.

    ``otherwise`` are the utterances in which it heard other words than the first program of its group.
    """

    group: str
    name: str
    rate: float | None
    words: int
    failed: int
    otherwise: tuple[str, ...] = ()


def listen(
    peers: Sequence[Peer], items: Sequence[Item], folder: Path, progress: Callable[[Heard], None] = lambda heard: None
) -> list[Heard]:
    """Let every program transcribe the same utterances, one program after the other, into runs under ``folder``."""
    heard: list[Heard] = []
    first: dict[str, dict[str, list[str]]] = {}
    for number, peer in enumerate(peers):
        system = peer.open()
        run = create_run(folder / f"{number:02d}", system, items, {"group": peer.group})
        transcribe_run(run, system)
        said = _words(run)
        table = tabulate(score_items(run.items, run.answers()))
        estimate = estimate_rates(table, [RATE[RATE_KEY]], draws=0)[RATE_KEY]
        rate = None if estimate.value is None else 100 * estimate.value
        other = first.setdefault(peer.group, said)
        otherwise = tuple(key for key, words in said.items() if other.get(key) != words)
        heard.append(Heard(peer.group, peer.name, rate, estimate.events, table.sums()["failed"], otherwise))
        progress(heard[-1])
    return heard


def _words(run: Run) -> dict[str, list[str]]:
    answers = run.answers()
    replies = ((item, answers[item.key].reply) for item in run.items if item.key in answers)
    return {item.key: normalise(reply.text, item.utterance.lang) for item, reply in replies if reply is not None}


def spreads(heard: Sequence[Heard]) -> dict[str, float]:
    """Return the distance in points between the best and the worst of each group; infinite where one failed."""
    groups: dict[str, list[Heard]] = {}
    for one in heard:
        groups.setdefault(one.group, []).append(one)
    found = {}
    for group, members in groups.items():
        rates = [one.rate for one in members if one.rate is not None and not one.failed]
        found[group] = max(rates) - min(rates) if len(rates) == len(members) else float("inf")
    return found
