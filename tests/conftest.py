"""What all tests share: a throwaway PostgreSQL cluster, and a skip that counts as a failure where asked for."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []


def _postgresql_user() -> list[str]:
    """Return the prefix that runs a command as somebody PostgreSQL agrees to run as."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    return ["runuser", "-u", "postgres" if "postgres" in names else "nobody", "--"]


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[str]:
    """A cluster on a Unix socket in a temporary folder; yields the socket's folder."""
    found = shutil.which("initdb")
    binaries = Path(found).parent if found else BINARIES[-1] if BINARIES else None
    if binaries is None or not (binaries / "initdb").exists():
        pytest.skip("PostgreSQL's initdb is not installed")
    with tempfile.TemporaryDirectory(prefix="medstt-pg-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        prefix = _postgresql_user()

        def call(*command: str) -> None:
            subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/", timeout=120)

        data = str(folder / "data")
        call(str(binaries / "initdb"), "-D", data, "-U", "medstt", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses= -c max_connections=200 -c shared_buffers=32MB -c fsync=off"
        call(str(binaries / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield str(folder)
        finally:
            call(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
            call("rm", "-rf", data)


@pytest.fixture
def postgresql_url(postgresql_cluster: str) -> str:
    """A fresh database in the cluster."""
    import psycopg

    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(host=postgresql_cluster, user="medstt", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql://medstt@/{name}?host={postgresql_cluster}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run with skipped tests where PYTEST_FAIL_ON_SKIP is set: continuous integration has all the programs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("PYTEST_FAIL_ON_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        for report in reporter.stats["skipped"]:
            reporter.write_line(f"skipped, which fails here: {report.nodeid}: {report.longrepr[-1]}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
