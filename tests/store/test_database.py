from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from medstt.errors import ConflictError, OptionError, StoreUnavailable
from medstt.store.database import Database
from medstt.store.tables import Base


def test_migrations_go_up_and_down_and_match_the_tables(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(StoreUnavailable, match="empty"):
        database.check()
    for _ in range(2):
        database.migrate()
        database.check()
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        database.migrate("base")
        with database.read() as connection:
            assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    database.close()


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    failures: list[BaseException] = []

    def migrate() -> None:
        database = Database(database_url)
        try:
            database.migrate()
        except BaseException as error:
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_failed_transaction_leaves_nothing(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    insert = text("INSERT INTO tenant (id, created_ms) VALUES ('a', 1)")

    def insert_twice() -> None:
        with database.write() as connection:
            connection.execute(insert)
            connection.execute(insert)

    with pytest.raises(ConflictError):
        insert_twice()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM tenant")).scalar_one() == 0
    database.close()


def test_a_database_that_is_down_says_so() -> None:
    database = Database("postgresql://nobody@/none?host=/nowhere")
    with pytest.raises(StoreUnavailable), database.read():
        pass
    database.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "oracle://x"])
def test_unknown_databases_are_refused(url: str) -> None:
    with pytest.raises(OptionError):
        Database(url)


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    database.close()
