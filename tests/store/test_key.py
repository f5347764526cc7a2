from __future__ import annotations

from typing import Any

import pytest

from medstt.errors import ConflictError, NotAuthenticated, NotFoundError, OptionError


def test_a_key_opens_its_tenant_and_only_its_hash_is_stored(store: Any) -> None:
    key = store.keys.issue("a", "Dr. A", "clinician", department="cardiology", scopes=["dictation.read"])
    caller = store.keys.authenticate(key)
    assert (caller.tenant, caller.person, caller.role, caller.department) == ("a", "Dr. A", "clinician", "cardiology")
    assert caller.scopes == ("dictation.read",)
    with store.database.read() as connection:
        assert key.split("_")[2] not in str(connection.exec_driver_sql("SELECT * FROM api_key").all())


@pytest.mark.parametrize("wrong", ["", "x", "medstt_000000000000_" + "A" * 43, "medstt__", "Bearer"])
def test_wrong_keys_are_refused_alike(store: Any, wrong: str) -> None:
    with pytest.raises(NotAuthenticated, match="the API key is not valid"):
        store.keys.authenticate(wrong)


def test_one_changed_letter_is_a_wrong_key(store: Any) -> None:
    key = store.keys.issue("a", "Dr. A", "clinician")
    with pytest.raises(NotAuthenticated):
        store.keys.authenticate(key[:-1] + ("A" if key[-1] != "A" else "B"))


def test_keys_expire_rotate_and_are_revoked(store: Any) -> None:
    admin = store.keys.issue_first("a")
    assert store.keys.issue_first("a") is None
    short = store.keys.issue("a", "Dr. A", "clinician", days=1)
    fresh = store.keys.rotate("a", store.keys.authenticate(short).key, "admin")
    with pytest.raises(NotAuthenticated):
        store.keys.authenticate(short)
    token, _ = store.keys.sign_in(fresh, hours=1)
    assert store.keys.resume(token).person == "Dr. A"
    store.clock.now_ms += 3_700_000
    with pytest.raises(NotAuthenticated):
        store.keys.resume(token)
    token, caller = store.keys.sign_in(fresh, hours=48)
    store.keys.revoke("a", caller.key, "admin")
    with pytest.raises(NotAuthenticated):
        store.keys.resume(token)
    store.clock.now_ms += 90_000_000
    with pytest.raises(NotAuthenticated):
        store.keys.authenticate(fresh)
    with pytest.raises(ConflictError, match="last admin"):
        store.keys.revoke("a", store.keys.authenticate(admin).key, "admin")
    with pytest.raises(NotFoundError):
        store.keys.revoke("b", caller.key, "admin")


def test_bad_roles_and_tenants_are_refused(store: Any) -> None:
    for tenant, person, role in (("a", "x", "god"), ("../a", "x", "admin"), ("a", " ", "admin"), ("A", "x", "admin")):
        with pytest.raises(OptionError):
            store.keys.issue(tenant, person, role)
