"""Measure systems side by side: one process and one thread each, the same inputs, runs interleaved.

CPU seconds are those of the whole process, all its threads; the median of the runs counts. Knows nothing of which
systems there are beyond their names, nor of tables.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from medstt.errors import MedsttError
from medstt.values import RATE_HZ, Samples

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Case:
    """One input: its name, length and how many tokens are decoded from it, with how many beams."""

    name: str
    seconds: float
    tokens: int
    beam: int = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """What one system needed for one case: medians of the runs, and the process's peak memory after them."""

    system: str
    case: Case
    cpu_s: float
    wall_s: float
    peak_mb: float
    tokens: int


def measure(model: Path, work: Path, systems: Sequence[str], cases: Sequence[Case], repeat: int) -> list[Cost]:
    """Run every case on every system, ``repeat`` times in turn after one warm-up of the first, and return the costs.

    Raises MedsttError with a system's own message where it cannot be loaded or run.
    """
    workers = [_Worker(name, model, work) for name in systems]
    try:
        costs = []
        for worker in workers:
            worker.run(invented_speech(cases[0].seconds), cases[0])
        for case in cases:
            samples = invented_speech(case.seconds)
            runs = [[worker.run(samples, case) for worker in workers] for _ in range(repeat)]
            for column, worker in enumerate(workers):
                found = [row[column] for row in runs]
                costs.append(
                    Cost(
                        worker.name, case,
                        statistics.median(one.cpu_s for one in found), statistics.median(one.wall_s for one in found),
                        found[-1].peak_mb, found[-1].tokens,
                    )
                )  # fmt: skip
        return costs
    finally:
        for worker in workers:
            worker.close()


def invented_speech(seconds: float) -> Samples:
    """Return noise with the rhythm of speech; with random weights it does not matter what is said."""
    random = np.random.default_rng(0)
    count = int(seconds * RATE_HZ)
    rhythm = 0.5 + 0.5 * np.sin(np.arange(count) * (2 * np.pi * 4 / RATE_HZ))
    samples: Samples = (random.standard_normal(count) * 0.1 * rhythm).astype(np.float32)
    return samples


@dataclass(frozen=True, slots=True)
class _Run:
    cpu_s: float
    wall_s: float
    peak_mb: float
    tokens: int


class _Worker:
    """One system in a process of its own."""

    def __init__(self, name: str, model: Path, work: Path) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, model, work), daemon=True)
        before = {key: os.environ.get(key) for key in _ONE_THREAD}
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
        try:
            self._process.start()
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})
        theirs.close()
        self._receive()

    def run(self, samples: Samples, case: Case) -> _Run:
        self._ours.send((samples, case.tokens, case.beam))
        return _Run(*self._receive())

    def close(self) -> None:
        self._ours.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()

    def _receive(self) -> tuple[float, float, float, int]:
        try:
            answer = self._ours.recv()
        except EOFError as error:
            raise MedsttError(f"{self.name} died", "Run with fewer peers, or look at the memory") from error
        if isinstance(answer, str):
            raise MedsttError(f"{self.name} failed: {answer}", "Leave it out of the peers")
        result: tuple[float, float, float, int] = answer
        return result


def _serve(pipe: Connection, name: str, model: Path, work: Path) -> None:
    """Load a system, then answer (samples, tokens, beam) with what the run cost, until the pipe closes."""
    from medstt.benchmark.system import open_system

    try:
        run = open_system(name, model, work)
        pipe.send((0.0, 0.0, 0.0, 0))
        while True:
            samples, tokens, beam = pipe.recv()
            wall, cpu = time.perf_counter(), time.process_time()
            count = run(samples, tokens, beam)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            pipe.send((cpu, wall, peak_mb, count))
    except (EOFError, BrokenPipeError):
        return  # the measuring process is gone
    except Exception as error:  # whatever a peer raises is the answer to show
        pipe.send("".join(traceback.format_exception_only(error)).strip())
