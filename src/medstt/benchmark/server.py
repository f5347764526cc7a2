"""The real server as a process of its own, and what it holds in memory. Knows nothing of what is asked of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import ResourceError
from medstt.service import read_settings

START_S = 300.0
LINKED = ("cache", "models")  # of the caller's home: what is read and never holds patient data


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started for a measurement."""

    port: int
    key: str
    process: int
    home: Path

    def memory_mb(self) -> float:
        """Return the resident memory of the server and its decoders in MB."""
        return tree_memory_mb(self.process)


def tree_memory_mb(process: int) -> float:
    """Return the resident memory of a process and its children in MB; 0 once it is gone."""
    return sum(_resident_kb(one) for one in (process, *_children(process))) / 1024


def tree_cpu_s(process: int) -> float:
    """Return the CPU time of a process, its children and those that have ended, in seconds."""
    own = _cpu_ticks(process)
    return (sum(own) + sum(sum(_cpu_ticks(one)[:2]) for one in _children(process))) / os.sysconf("SC_CLK_TCK")


def _cpu_ticks(process: int) -> list[int]:
    """Return a process's user and system time, and those of its children that have ended, in clock ticks."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return [0, 0, 0, 0]
    return [int(field) for field in fields[11:15]]


def _resident_kb(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):  # a decoder was just replaced
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


def _children(process: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(one) for one in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield an empty home that shares models and conversions with the one in use."""
    own = read_settings().home
    with tempfile.TemporaryDirectory(prefix="medstt-benchmark-") as name:
        home = Path(name)
        for part in LINKED:
            if (own / part).is_dir():
                (home / part).symlink_to(own / part)
        yield home


@contextmanager
def running(home: Path, *, key: str | None = None, **settings: str) -> Iterator[Running]:
    """Start `medstt serve` in ``home`` on a free port; without ``key`` it is the admin key of its first start.

    ``settings`` are those of the service by name. Raises ResourceError with the log's end if it does not start.
    """
    chosen = {"home": str(home), "port": "0", "requests_per_minute": "1000000", "log_level": "info"} | settings
    environment = os.environ | {f"MEDSTT_{name.upper()}": value for name, value in chosen.items()}
    with (home / "log").open("w+", encoding="utf-8") as log:
        command = [sys.executable, "-m", "medstt", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            given = key or process.stdout.readline().removeprefix("admin key: ").strip()
            yield Running(_wait_for_port(process, home / "log"), given, process.pid, home)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def _wait_for_port(process: subprocess.Popen[str], log: Path) -> int:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"listening"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.1)
    raise ResourceError("the server did not start", log.read_text(encoding="utf-8")[-500:])
