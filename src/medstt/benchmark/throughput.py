"""Clips a minute at saturation: engines alone, requests, dictations; for a clinic's mix of lengths and for short clips.

Knows nothing of how figures are shown.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medstt.benchmark.caller import Caller, make_form, make_wav
from medstt.benchmark.direct import DirectCrew
from medstt.benchmark.figure import Figure
from medstt.benchmark.server import Running, running, temporary_home, tree_cpu_s
from medstt.values import Samples

ENGINES = 2
SIZE = {"workers": str(ENGINES + 1), "replicas": str(ENGINES)}  # while one waits for a disk, the engines have work
FIELDS = {"model": "whisper-1", "language": "en"}
MIX_S = (120.0, 30.0, 6.0)  # longest first, so that both engines end at about the same time
SHORT_S = (6.0,)
ROUNDS = 3

Way = Callable[[Sequence[bytes]], float]  # has recordings transcribed; returns the CPU seconds that this took


@dataclass(slots=True)
class _Spent:
    """What a way of having recordings transcribed took: wall clock, and CPU of the engines' and server's processes."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    clips: int = 0

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_s / self.clips


def measure_throughput(speech: Samples, clips: int) -> list[Figure]:
    """Compare processes with an engine each, requests and dictations, in turn, several times.

    Every way has as many engines, the same recordings and a warm start; each decodes the file, finds the speech,
    listens for the built-in names and formats. ``clips`` of 6 s are one workload, a fifth as many of mixed lengths the
    other.
    The client's own work is done on the same cores and counts against the server, not so in its CPU time, which says
    the same on a machine that is busy with other things.
    """
    mixed, short = "mix of 6 s, 30 s and 2 min", "6 s clips only"
    work = {mixed: _recordings(speech, MIX_S, -(-clips // 15) * len(MIX_S)), short: _recordings(speech, SHORT_S, clips)}
    figures: list[Figure] = []
    with DirectCrew(ENGINES) as crew, temporary_home() as home, running(home, **SIZE) as server:
        ways: dict[str, Way] = {
            "direct": lambda sounds: sum(one.cpu_s for one in crew.run(sounds)),
            "requests": lambda sounds: _counted(server, lambda: _request_all(server, sounds)),
            "dictations": lambda sounds: _counted(server, lambda: _dictate_all(server, sounds)),
        }
        crew.warm(work[short][0])
        for way in ways.values():
            way(work[short][: 2 * ENGINES])
        for name, sounds in work.items():
            figures += _figures(name, _compare(ways, sounds))
    return figures


def _recordings(speech: Samples, lengths_s: Sequence[float], count: int) -> list[bytes]:
    """Return recordings of each length in equal numbers, longest first, beginning at different places."""
    each = count // len(lengths_s)
    return [make_wav(speech, length, start % 5) for length in lengths_s for start in range(each)]


def _compare(ways: dict[str, Way], sounds: Sequence[bytes]) -> dict[str, _Spent]:
    spent = {name: _Spent() for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            spent[name].cpu_s += way(sounds)
            spent[name].wall_s += time.perf_counter() - start
            spent[name].clips += len(sounds)
    return spent


def _figures(work: str, spent: dict[str, _Spent]) -> list[Figure]:
    own = spent.pop("direct")
    alone = f"{work}: {ENGINES} engines alone"
    figures = [
        Figure("throughput", alone, 60 * own.clips / own.wall_s, "clips/min"),
        Figure("throughput", f"{alone}, CPU of a clip", own.cpu_ms, "ms"),
    ]
    for name, served in spent.items():
        through = f"{work}: {name}"
        figures += [
            Figure("throughput", through, 60 * served.clips / served.wall_s, "clips/min"),
            Figure("throughput", f"{through}, throughput lost", 100 * (1 - own.wall_s / served.wall_s), "%", 5),
            Figure("throughput", f"{through}, CPU added to a clip", served.cpu_ms - own.cpu_ms, "ms"),
            Figure("throughput", f"{through}, CPU added", 100 * (served.cpu_ms / own.cpu_ms - 1), "%"),
        ]
    return figures


def _counted(server: Running, action: Callable[[], None]) -> float:
    before = tree_cpu_s(server.process)
    action()
    return tree_cpu_s(server.process) - before


def _request_all(server: Running, sounds: Sequence[bytes]) -> None:
    left, lock = iter(sounds), threading.Lock()

    def rest() -> Iterator[bytes]:
        while True:
            with lock:
                sound = next(left, None)
            if sound is None:
                return
            yield sound

    def ask() -> None:
        with Caller(server) as caller:
            for sound in rest():
                caller.post("/v1/audio/transcriptions", make_form(sound, FIELDS))

    count = 2 * ENGINES  # one waits while another is served
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(ask) for _ in itertools.repeat(None, count)]:
            done.result()


def _dictate_all(server: Running, sounds: Sequence[bytes]) -> None:
    with Caller(server) as caller:
        made = [caller.post("/v1/dictations", make_form(sound, {"language": "en"}))["id"] for sound in sounds]
        for one in made:
            caller.wait(one)
