from __future__ import annotations

from typing import Any

import pytest

CHANGES = {
    "changed": "UPDATE audit SET actor = 'nobody' WHERE tenant = 'a' AND number = 3",
    "detail": "UPDATE audit SET detail = '{}' WHERE tenant = 'a' AND number = 4",
    "removed": "DELETE FROM audit WHERE tenant = 'a' AND number = 2",
    "first removed": "DELETE FROM audit WHERE tenant = 'a' AND number = 1",
    "last removed": "DELETE FROM audit WHERE tenant = 'a' AND number = 6",
    "all removed": "DELETE FROM audit WHERE tenant = 'a'",
    "moved": "UPDATE audit SET number = CASE number WHEN 2 THEN 1003 ELSE 1002 END "
    "WHERE tenant = 'a' AND number IN (2, 3)",
    "head gone": "DELETE FROM audit_head WHERE tenant = 'a'",
}


@pytest.mark.parametrize("change", CHANGES)
def test_tampering_shows(store: Any, change: str) -> None:
    for number in range(5):
        store.audit.record("a", "Dr. A", "dictation.read", f"d{number}", {"n": number})
    assert store.audit.verify("a").problem is None
    with store.database.write() as connection:
        connection.exec_driver_sql(CHANGES[change])
        if change == "moved":
            connection.exec_driver_sql("UPDATE audit SET number = number - 1000 WHERE number > 1000")
    verdict = store.audit.verify("a")
    assert verdict.problem is not None
    assert "a" in store.audit.tenants()
    assert store.audit.verify("b").problem is None


def test_a_head_noted_elsewhere_shows_a_cut_chain(store: Any) -> None:
    for number in range(3):
        store.audit.record("a", "x", "y", str(number))
    noted = store.audit.verify("a").head
    older = store.audit.entries("a")[-2]
    with store.database.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM audit WHERE tenant = 'a' AND number > {older.number}")
        connection.exec_driver_sql(
            f"UPDATE audit_head SET number = {older.number}, mac = '{older.mac}' WHERE tenant = 'a'"
        )
    assert store.audit.verify("a").problem is None
    assert store.audit.verify("a", noted).problem == "the head noted earlier is not in the chain"
