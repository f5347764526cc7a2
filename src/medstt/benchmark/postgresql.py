"""A throwaway PostgreSQL cluster on a Unix socket, for measurements and tests. Knows nothing of what it stores."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medstt.errors import ResourceError

USER = "medstt"
_DEBIAN = Path("/usr/lib/postgresql")


def find_postgresql() -> Path | None:
    """Return the folder of PostgreSQL's programs, None where it is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent  # where it really lies, beside pg_dump and the others
    folders = sorted(_DEBIAN.glob("*/bin")) if _DEBIAN.is_dir() else []
    return folders[-1] if folders else None


@contextmanager
def postgresql_cluster(*options: str) -> Iterator[Path]:
    """Start a cluster that listens in a temporary folder only, with settings as NAME=VALUE; yields the folder.

    Without settings it syncs to disk as a real one does. Raises ResourceError where PostgreSQL is not installed.
    """
    binaries = find_postgresql()
    if binaries is None:
        raise ResourceError("PostgreSQL is not installed", "Install it or name a database with --postgresql")
    with tempfile.TemporaryDirectory(prefix="medstt-pg-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        prefix = _somebody()

        def call(*command: str) -> None:
            subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/", timeout=300)

        data = str(folder / "data")
        call(str(binaries / "initdb"), "-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8")
        chosen = " ".join([f"-k {folder}", "-c listen_addresses=", *(f"-c {option}" for option in options)])
        call(str(binaries / "pg_ctl"), "-D", data, "-o", chosen, "-l", str(folder / "log"), "-w", "start")
        try:
            yield folder
        finally:
            call(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
            call("rm", "-rf", data)


def _somebody() -> list[str]:
    """Return the prefix that runs a command as somebody PostgreSQL agrees to run as: not root."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    return ["runuser", "-u", "postgres" if "postgres" in names else "nobody", "--"]
