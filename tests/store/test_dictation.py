from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medstt.errors import ConflictError, NotFoundError, OptionError, StaleError, TooManyRequests
from medstt.store.dictation import Dictations
from medstt.store.record import Filter


def test_what_was_asked_comes_back_and_the_patient_is_sealed(store: Any) -> None:
    made = store.accept(
        patient="MRN-4711", encounter="E-9", file_name="Müller.wav", specialty="cardiology", consent=True
    )
    read = store.dictations.get("a", made.id)
    assert (read.patient, read.encounter, read.file_name) == ("MRN-4711", "E-9", "Müller.wav")
    assert (read.specialty, read.consent, read.status, read.version) == ("cardiology", True, "received", 1)
    with store.database.read() as connection:
        row = connection.exec_driver_sql("SELECT * FROM dictation").one()
    assert not any("MRN-4711" in str(value) or "Müller" in str(value) for value in row)


def test_the_same_idempotency_key_gives_the_same_dictation(store: Any) -> None:
    first = store.accept(idempotency_key="k1")
    again = store.accept(idempotency_key="k1")
    assert again.id == first.id
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        store.accept(idempotency_key="k1", priority="stat")
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        store.accept(idempotency_key="k1", audio=b"other")
    assert store.accept(tenant="b", idempotency_key="k1").id != first.id


def test_a_tenant_sees_nothing_of_another(store: Any) -> None:
    made = store.accept(tenant="a", patient="P")
    store.process()
    foreign = store.dictations.get("a", made.id)
    for call in (
        lambda: store.dictations.get("b", made.id),
        lambda: store.erasures.erase("b", made.id, "x"),
        lambda: store.queue.retry("b", made.id, "x"),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert store.dictations.list("b", Filter()).items == []
    assert store.dictations.list("b", Filter(patient="P")).items == []
    assert foreign.status == "ready"


def test_listing_pages_through_everything_once(store: Any) -> None:
    made = [store.accept(author=f"Dr. {n % 2}").id for n in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = store.dictations.list("a", Filter(), limit=3, cursor=cursor)
        seen += [item.id for item in page.items]
        store.accept()  # newer ones do not disturb the pages
        cursor = page.cursor
        if cursor is None:
            break
    assert [one for one in seen if one in made] == made[::-1]
    assert len(store.dictations.list("a", Filter(author="Dr. 1")).items) == 3
    with pytest.raises(OptionError, match="cursor"):
        store.dictations.list("a", Filter(), cursor="%%%")


def test_corrections_append_with_the_current_version_only(store: Any) -> None:
    store.accept()
    ready = store.process()
    assert store.dictations.current_text(ready) == "No fever."
    first = store.dictations.correct(ready, ready.version, "Typist", "No fever, no chills.", [], 11)
    with pytest.raises(StaleError):
        store.dictations.correct(ready, ready.version, "Other", "Fever.", [], 3)
    second = store.dictations.correct(first, first.version, "Dr. A", "No fever, no rigors.", [{"start": 1}], 6)
    history = store.dictations.corrections(second)
    assert [(one.number, one.author, one.edit_distance) for one in history] == [(1, "Typist", 11), (2, "Dr. A", 6)]
    assert store.dictations.current_text(second) == "No fever, no rigors."
    assert store.dictations.document(second)["text"] == "No fever."
    assert len(list(store.objects.names())) == 5  # the refused correction left nothing


def test_signing_closes_and_reopening_opens_again(store: Any) -> None:
    waiting = store.accept()
    with pytest.raises(ConflictError, match="not ready"):
        store.dictations.sign(waiting, waiting.version, "Dr. A")
    ready = store.process()
    signed = store.dictations.sign(ready, ready.version, "Dr. A")
    assert (signed.report_state, signed.signed_by) == ("final", "Dr. A")
    with pytest.raises(ConflictError, match="Reopen"):
        store.dictations.correct(signed, signed.version, "T", "x", [], 1)
    open_again = store.dictations.reopen(signed, signed.version, "Dr. A", "wrong side: right, not left")
    assert open_again.report_state == "preliminary"
    assert store.dictations.sign(open_again, open_again.version, "Dr. A").report_state == "amended"
    assert not any("wrong side" in entry.detail for entry in store.audit.entries("a"))


def test_an_erased_dictation_leaves_a_tombstone_and_no_byte(store: Any, tmp_path: Path, some_bytes: bytes) -> None:
    made = store.accept(patient="MRN-4711", audio=some_bytes)
    ready = store.process()
    changed = store.dictations.correct(ready, ready.version, "T", "Secret words.", [], 3)
    stored = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert len(stored) == 4
    with store.database.read() as connection:
        sealed = connection.exec_driver_sql("SELECT patient_secret FROM dictation").scalar_one()
    store.erasures.erase("a", made.id, "admin")
    with pytest.raises(NotFoundError):
        store.dictations.get("a", changed.id)
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for content in stored.values():
        assert content[8:76] not in left  # the wrapped key
        assert content[-64:] not in left  # the ciphertext
    if store.database.sqlite:
        assert sealed.encode() not in left
    assert [entry.action for entry in store.audit.entries("a", subject=made.id)][-1] == "dictation.erased"
    with pytest.raises(NotFoundError):
        store.erasures.erase("a", made.id, "admin")


def test_an_interrupted_erasure_is_finished(store: Any) -> None:
    made = store.accept()
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE dictation SET status = 'erasing'")
    with pytest.raises(NotFoundError):
        store.dictations.get("a", made.id)
    assert store.erasures.finish() == 1
    assert list(store.objects.names()) == []


def test_a_worker_cannot_revive_an_erased_dictation(store: Any) -> None:
    made = store.accept()
    job = store.queue.claim("w")
    store.erasures.erase("a", made.id, "admin")
    from medstt.store.queue import Result

    with pytest.raises(ConflictError):
        store.queue.finish(job, Result({}, {}, 1, {}))
    assert list(store.objects.names()) == []


def test_a_full_queue_refuses(store: Any) -> None:
    small = Dictations(store.database, store.objects, store.ring, store.audit, queue_limit=2)
    store.dictations = small
    store.accept()
    store.accept()
    with pytest.raises(TooManyRequests):
        store.accept()
