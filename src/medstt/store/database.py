"""One database by URL, SQLite or PostgreSQL: connections, transactions, migrations, and its failures as our errors.

Knows nothing of what is in the tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from medstt.errors import ConflictError, OptionError, ResourceError, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_WAIT_MS = 30_000


def _open_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            return create_engine(parsed, pool_size=16, max_overflow=32, pool_timeout=LOCK_WAIT_MS / 1000)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            return create_engine(
                parsed, pool_size=16, max_overflow=32, pool_pre_ping=True, connect_args={"connect_timeout": 5}
            )
    except (ArgumentError, NoSuchModuleError) as error:
        raise OptionError(f"database URL cannot be read: {error}", "Use sqlite:///PATH or postgresql://...") from error
    raise OptionError(
        f"database {parsed.get_backend_name()!r} is not supported", "Use sqlite:///PATH or postgresql://USER@HOST/NAME."
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, see _begin
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit that was answered survives a power cut
        f"busy_timeout={LOCK_WAIT_MS}",
        "foreign_keys=ON",
        "secure_delete=ON",  # erased rows leave no bytes behind in free pages
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Database:
    """Transactions over one database; thread-safe.

    ``write()`` is an immediate transaction on SQLite (one writer at a time), an ordinary one on PostgreSQL.
    ``clock_ms`` replaces the clock that leases and expiry go by.
    """

    def __init__(self, url: str, clock_ms: Callable[[], int] | None = None) -> None:
        self.engine = _open_engine(url)
        self._clock_ms = clock_ms
        self.sqlite = self.engine.dialect.name == "sqlite"
        # Threads of one process queue here instead of polling SQLite's file lock.
        self._writer = threading.Lock()
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", self._begin)

    @staticmethod
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; it commits on leaving, and rolls back on an error."""
        if not self.sqlite:
            with _translated(), self.engine.begin() as connection:
                yield connection
            return
        with _translated(), self._writer, self.engine.connect() as connection:
            connection = connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def now_ms(self, connection: Connection) -> int:
        """Return Unix time in milliseconds: the server's on PostgreSQL, so that replicas agree on leases."""
        if self._clock_ms is not None:
            return self._clock_ms()
        if self.sqlite:
            return time.time_ns() // 1_000_000
        value = connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one()
        return int(value)

    def migrate(self, revision: str = "head") -> None:
        """Upgrade (or downgrade) the schema; safe to call from several processes at once."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as connection:
            if not self.sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(4172003)"))
            config.attributes["connection"] = connection
            if revision == "base" or revision.startswith("-"):
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)

    def revision(self) -> str | None:
        """Return the schema's revision; None for an empty database."""
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def check(self) -> None:
        """Raise StoreUnavailable unless the database answers and has the schema this version needs."""
        head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        if (found := self.revision()) != head:
            raise StoreUnavailable(f"database schema is {found or 'empty'}, not {head}", "Run `medstt serve` once.")

    def scrub(self) -> None:
        """Empty SQLite's write-ahead log, so that what was deleted is in no file; nothing to do on PostgreSQL."""
        if self.sqlite:
            with _translated(), self._writer, self.engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                if raw is not None:
                    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ConflictError("somebody else changed it at the same moment", "Read it again and retry.") from error
    except (OperationalError, PoolTimeout) as error:
        if "full" in str(getattr(error, "orig", "")):
            raise ResourceError("the database's disk is full", "Free space, then retry.") from error
        raise StoreUnavailable("the database does not answer", "Retry in a moment.") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable("the database connection broke", "Retry in a moment.") from error
        raise
