"""`medstt` as a fresh process: how soon its first text comes, what a second core gains, memory over a long recording.

Knows nothing of what it transcribes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.benchmark.caller import make_wav
from medstt.benchmark.figure import Figure
from medstt.benchmark.server import temporary_home
from medstt.benchmark.service import CLIP_S, Watch
from medstt.errors import ResourceError
from medstt.values import Samples

_WARM = 1


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of a process to its first output, to its end, and of CPU time."""

    first_s: float
    whole_s: float
    cpu_s: float


def run_once(arguments: Sequence[str], home: Path) -> Start:
    """Run `medstt` with these arguments; raises ResourceError if it fails or prints nothing.

    Compiled modules are kept in ``home``, as an installation has them, whatever this machine's Python is told.
    """
    command = [sys.executable, "-m", "medstt", *arguments]
    environment = os.environ | {"MEDSTT_HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout as out:
        something = out.read(1)
        first_s = time.perf_counter() - start
        out.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not something:
        raise ResourceError(f"{' '.join(command[2:])} failed with {process.returncode}", "Run it by hand")
    return Start(first_s, time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def measure_startup(speech: Samples, repeat: int) -> list[Figure]:
    """Time the first text of a 6 s clip and the help in fresh processes; medians after one that fills the caches."""
    with temporary_home() as home:
        clip = home / "clip.wav"
        clip.write_bytes(make_wav(speech, CLIP_S))
        transcribe, told = ["transcribe", str(clip), "--language", "en"], ["--help"]
        runs: dict[str, list[Start]] = {"text": [], "help": []}
        for _ in range(repeat + _WARM):
            runs["text"].append(run_once(transcribe, home))
            runs["help"].append(run_once(told, home))
    kept = {name: found[_WARM:] for name, found in runs.items()}
    first = {name: statistics.median(one.first_s for one in found) for name, found in kept.items()}
    cpu = {name: statistics.median(one.cpu_s for one in found) for name, found in kept.items()}
    return [
        Figure("startup", "process start to first text, 6 s clip", first["text"], "s", 1.5),
        Figure("startup", "CPU time of that process", cpu["text"], "s"),
        Figure("startup", "first run of all: modules not compiled, caches as they were", runs["text"][0].first_s, "s"),
        Figure("startup", "medstt --help", first["help"], "s", 0.3),
        Figure("startup", "CPU time of medstt --help", cpu["help"], "s"),
    ]


def measure_files(speech: Samples, files: int) -> list[Figure]:
    """Transcribe so many recordings of 6 s with one engine and with two, start and all, and compare the times.

    Two rounds, interleaved and added up: a machine's speed wanders.
    """
    took = {1: 0.0, 2: 0.0}
    with temporary_home() as home:
        folder = home / "clips"
        folder.mkdir()
        for number in range(files):
            (folder / f"{number:04d}.wav").write_bytes(make_wav(speech, CLIP_S, start_s=number * CLIP_S))
        run_once(["transcribe", str(folder / "0000.wav"), "--language", "en"], home)  # compiles modules
        for jobs in (1, 2, 1, 2):
            took[jobs] += run_once(["transcribe", str(folder), "--language", "en", "--jobs", str(jobs)], home).whole_s
    return [
        Figure("files", "a minute, one engine", 120 * files / took[1], "files"),
        Figure("files", "a minute, two engines", 120 * files / took[2], "files"),
        Figure("files", "time with two engines, of that with one", took[2] / took[1], "", 1 / 1.8),
    ]


def measure_memory(speech: Samples, minutes: float) -> list[Figure]:
    """Transcribe a recording of so many minutes and one of a tenth; the highest memory of each process tree."""
    found = {}
    with temporary_home() as home:
        for length in (minutes / 10, minutes):
            path = home / f"{length:g}.wav"
            path.write_bytes(make_wav(speech, length * 60))
            start = time.perf_counter()
            command = [sys.executable, "-m", "medstt", "transcribe", str(path), "--language", "en", "--out"]
            environment = os.environ | {"MEDSTT_HOME": str(home)}
            process = subprocess.Popen(
                [*command, str(home / f"out-{length:g}")],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            with Watch(process.pid, 0.1) as watch:
                code = process.wait()
            if code:
                raise ResourceError(f"transcribing {length:g} minutes failed with {code}", "Run it by hand")
            found[length] = max(mb for _, mb in watch.seen), time.perf_counter() - start
            path.unlink()
    (short_mb, _), (long_mb, long_s) = found[minutes / 10], found[minutes]
    return [
        Figure("memory", f"highest over {minutes / 10:g} minutes of sound", short_mb, "MB"),
        Figure("memory", f"highest over {minutes:g} minutes of sound", long_mb, "MB", 500),
        Figure("memory", "grown between the two", long_mb - short_mb, "MB", 50),
        Figure("memory", "time of the long one", long_s, "s"),
    ]
