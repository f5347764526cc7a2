"""What all tests share: a throwaway PostgreSQL cluster, and a skip that counts as a failure where asked for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from medstt.benchmark.postgresql import USER, find_postgresql, postgresql_cluster


@pytest.fixture(scope="session")
def postgresql_folder() -> Iterator[Path]:
    """A cluster on a Unix socket, not synced to disk; yields the socket's folder."""
    if find_postgresql() is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    with postgresql_cluster("max_connections=200", "shared_buffers=32MB", "fsync=off") as folder:
        yield folder


@pytest.fixture
def postgresql_url(postgresql_folder: Path) -> str:
    """A fresh database in the cluster."""
    import psycopg

    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(host=str(postgresql_folder), user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql://{USER}@/{name}?host={postgresql_folder}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run with skipped tests where PYTEST_FAIL_ON_SKIP is set: continuous integration has all the programs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("PYTEST_FAIL_ON_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        for report in reporter.stats["skipped"]:
            reporter.write_line(f"skipped, which fails here: {report.nodeid}: {report.longrepr[-1]}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
