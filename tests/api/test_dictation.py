from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from medstt.client import Client
from medstt.errors import AccessError, ConflictError, NotFoundError, StaleError

TEXT = "The patient is well"


def test_a_dictation_becomes_a_report(client: Client, wav: bytes) -> None:
    made = client.create(wav, patient="MRN-1", specialty="cardiology", priority="urgent", consent="true")
    assert made.status == "received"
    done = client.wait(made.id)
    assert done.status == "ready"
    assert done.raw["audio"]["sha256"] == hashlib.sha256(wav).hexdigest()
    assert client.audio(made.id) == wav
    assert client.transcript(made.id)["text"] == TEXT.lower()
    document = client.document(made.id)
    assert document["text"] == TEXT
    words = [document["words"][span["words"][0]]["text"] for span in document["spans"]]
    assert words == TEXT.lower().split()
    facts = done.raw["facts"]
    for name in ("vocabulary_digest", "formatter_digest", "settings_digest", "team_digest", "mean_logprob"):
        assert facts[name] is not None, name
    for name in ("max_no_speech", "out_of_lexicon_share", "words_per_minute", "snr_db", "clipped_share"):
        assert facts[name] is not None, name
    assert facts["model"]["digest"]
    assert [one.id for one in client.list(patient="MRN-1")] == [made.id]
    assert list(client.list(patient="MRN-2")) == []


def test_status_is_followed_by_events(client: Client, wav: bytes) -> None:
    made = client.create(wav)
    states = [state["status"] for state in client.follow(made.id)]
    assert states[-1] == "ready"


def test_the_same_request_again_creates_nothing(client: Client, wav: bytes) -> None:
    first = client.create(wav, idempotency_key="one")
    assert client.create(wav, idempotency_key="one").id == first.id
    with pytest.raises(ConflictError):
        client.create(wav, idempotency_key="one", priority="stat")
    assert len(list(client.list())) == 1


def test_corrections_need_the_current_version(client: Client, http: Any, ready: Any) -> None:
    one = ready()
    version = client.get(one).version
    changed = client.correct(one, version, "The patient is unwell")
    with pytest.raises(StaleError):
        client.correct(one, version, "The patient is dead")
    assert http.post(f"/v1/dictations/{one}/corrections", json={"text": "x"}).status_code == 428
    edits = {"edits": [{"start": 4, "end": 11, "text": "woman"}, {"start": 0, "end": 3, "text": "A"}]}
    answer = http.post(f"/v1/dictations/{one}/corrections", json=edits, headers={"If-Match": f'"{changed.version}"'})
    assert answer.status_code == 201
    document = client.document(one)
    assert document["text"] == "A woman is unwell"
    assert document["corrections"] == 2
    assert {document["text"][span["start"] : span["end"]] for span in document["spans"]} <= {"is", "unwell", "woman"}
    history = http.get(f"/v1/dictations/{one}/corrections").json()
    assert [(item["number"], item["edit_distance"]) for item in history] == [(1, 2), (2, 9)]
    bad = {"edits": [{"start": 0, "end": 99, "text": "x"}]}
    assert http.post(f"/v1/dictations/{one}/corrections", json=bad, headers={"If-Match": "*"}).status_code == 422
    assert client.transcript(one)["text"] == TEXT.lower()


def test_a_signed_report_is_closed_until_it_is_reopened(client: Client, ready: Any) -> None:
    one = ready()
    signed = client.sign(one, client.get(one).version)
    assert signed.report_state == "final"
    with pytest.raises(ConflictError, match="Reopen"):
        client.correct(one, signed.version, "other")
    opened = client.reopen(one, signed.version, "wrong side")
    assert opened.report_state == "preliminary"
    assert client.sign(one, opened.version).report_state == "amended"


def test_only_clinicians_sign(live: Any, tenant: str, ready: Any) -> None:
    one = ready()
    with Client(live.url, live.key(tenant, "typist")) as typist:
        changed = typist.correct(one, typist.get(one).version, "Corrected by a typist")
        with pytest.raises(AccessError):
            typist.sign(one, changed.version)
    with Client(live.url, live.key(tenant, "clinician")) as clinician:
        assert clinician.sign(one, changed.version).raw["signed_by"] == f"clinician of {tenant}"


@pytest.mark.parametrize(
    ("header", "status", "start", "end"),
    [
        (None, 200, 0, None),
        ("bytes=0-99", 206, 0, 100),
        ("bytes=100-", 206, 100, None),
        ("bytes=-50", 206, -50, None),
        ("bytes=60000-999999", 206, 60000, None),
        ("bytes=999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("lines=1-2", 200, 0, None),
        ("bytes=5-2", 416, 0, 0),
    ],
)
def test_ranges_of_the_audio(
    http: Any, ready: Any, wav: bytes, header: str | None, status: int, start: int, end: int | None
) -> None:
    answer = http.get(f"/v1/dictations/{ready()}/audio", headers={"Range": header} if header else {})
    assert answer.status_code == status
    if status != 416:
        assert answer.content == wav[start:end]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_exports(client: Client, ready: Any) -> None:
    one = ready(patient="MRN-1", encounter="E-1")
    client.sign(one, client.get(one).version)
    assert client.export(one, "txt").decode().strip() == TEXT
    assert json.loads(client.export(one, "json"))["text"] == TEXT
    assert b"-->" in client.export(one, "srt")
    assert client.export(one, "vtt").startswith(b"WEBVTT")
    assert "word/document.xml" in zipfile.ZipFile(io.BytesIO(client.export(one, "docx"))).namelist()
    bundle = json.loads(client.export(one, "fhir-documentreference"))
    assert bundle["entry"][0]["resource"]["docStatus"] == "final"
    assert bundle["entry"][1]["resource"]["target"] == [{"reference": bundle["entry"][0]["fullUrl"]}]


def test_erased_is_gone_and_the_audit_says_so(client: Client, http: Any, ready: Any) -> None:
    one = ready(patient="MRN-9")
    client.document(one)
    client.export(one, "txt")
    client.erase(one)
    for call in (client.get, client.document, client.audio, client.erase):
        with pytest.raises(NotFoundError):
            call(one)
    entries = http.get("/v1/audit", params={"subject": one}).json()["items"]
    actions = [entry["action"] for entry in entries]
    assert actions == [
        "dictation.created",
        "dictation.ready",
        "dictation.read",
        "dictation.exported",
        "dictation.erased",
    ]
    verdict = http.get("/v1/audit/verification").json()
    assert verdict["problem"] is None


def test_a_recording_that_cannot_be_decoded_later_shows_its_reason(live: Any, client: Client, wav: bytes) -> None:
    made = client.wait(client.create(wav, template="no-such-template").id)
    assert made.status == "failed"
    assert "no-such-template" in (made.failure or "")
    with pytest.raises(ConflictError, match="failed"):
        client.document(made.id)


def test_listing_pages_and_filters(client: Client, http: Any, wav: bytes) -> None:
    made = [client.create(wav, author=f"Dr. {n % 2}").id for n in range(5)]
    assert [one.id for one in client.list(limit="2")] == made[::-1]
    assert len(list(client.list(author="Dr. 1"))) == 2
    assert http.get("/v1/dictations", params={"cursor": "nonsense"}).status_code == 422
    assert http.get("/v1/dictations", params={"limit": "0"}).status_code == 422
