"""A report as HL7 FHIR R4 JSON: a Bundle of a DocumentReference or DiagnosticReport and its Provenance.

What is written is valid in R4 (4.0.1) and R4B (4.3.0) alike: the three resources have the same elements in both. The
patient and the encounter are logical references (an identifier), since their resources live in the hospital's system.
Knows nothing of servers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from medstt.errors import OptionError
from medstt.export.clinical import ReportFacts
from medstt.values import Document, Transcript
from medstt.version import __version__

IDENTIFIERS = "urn:medstt:dictation"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
NAMESPACE = uuid.UUID("6d656473-7474-5000-8000-000000000001")


def render_fhir(kind: str, facts: ReportFacts, transcript: Transcript, document: Document) -> bytes:
    """Return the Bundle as UTF-8 JSON; ``kind`` is documentreference or diagnosticreport."""
    makers = {"documentreference": document_reference, "diagnosticreport": diagnostic_report}
    if kind not in makers:
        raise OptionError(f"unknown FHIR resource {kind!r}", f"Use one of {', '.join(makers)}.")
    report = makers[kind](facts, document)
    target = _url(facts, report["resourceType"])
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": _instant(_last_change_ms(facts)),
        "entry": [
            {"fullUrl": target, "resource": report},
            {"fullUrl": _url(facts, "Provenance"), "resource": provenance(facts, transcript, target)},
        ],
    }
    return (json.dumps(bundle, ensure_ascii=False, indent=2) + "\n").encode()


def document_reference(facts: ReportFacts, document: Document) -> dict[str, Any]:
    """Return the DocumentReference; docStatus follows the report (preliminary, final, amended)."""
    context = {"encounter": [_logical("encounter", facts.encounter)]} if facts.encounter else None
    return _without_none(
        {
            "resourceType": "DocumentReference",
            "identifier": [{"system": IDENTIFIERS, "value": facts.id}],
            "status": "current",
            "docStatus": facts.state,
            "type": _report_code(),
            "category": [{"text": facts.specialty}] if facts.specialty else None,
            "subject": _logical("patient", facts.patient) if facts.patient else None,
            "date": _instant(_last_change_ms(facts)),
            "author": [{"display": facts.author}],
            "authenticator": {"display": facts.signed_by} if _signed(facts) else None,
            "content": [{"attachment": _attachment(facts, document)}],
            "context": context,
        }
    )


def diagnostic_report(facts: ReportFacts, document: Document) -> dict[str, Any]:
    """Return the DiagnosticReport; status follows the report."""
    return _without_none(
        {
            "resourceType": "DiagnosticReport",
            "identifier": [{"system": IDENTIFIERS, "value": facts.id}],
            "status": facts.state,
            "category": [{"text": facts.specialty}] if facts.specialty else None,
            "code": _report_code(),
            "subject": _logical("patient", facts.patient) if facts.patient else None,
            "encounter": _logical("encounter", facts.encounter) if facts.encounter else None,
            "effectiveDateTime": _instant(facts.created_ms),
            "issued": _instant(_last_change_ms(facts)),
            "performer": [{"display": facts.author}],
            "resultsInterpreter": [{"display": facts.signed_by}] if _signed(facts) else None,
            "presentedForm": [_attachment(facts, document)],
        }
    )


def provenance(facts: ReportFacts, transcript: Transcript, target: str) -> dict[str, Any]:
    """Return who and what made the report: its author, the model, each corrector and the signer; and the recording."""
    model = f"medstt {__version__}, {transcript.model.name} ({transcript.model.digest[:16]})"
    agents = [_agent("author", facts.author), _agent("assembler", model)]
    agents += [_agent("enterer", name) for name in dict.fromkeys(name for name, _ in facts.correctors)]
    if _signed(facts) and facts.signed_by:
        agents.append(_agent("attester", facts.signed_by))
    recording = {"system": "urn:ietf:rfc:6920", "value": f"ni:///sha-256;{_base64url(facts.audio_digest)}"}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target}],
        "occurredDateTime": _instant(facts.ready_ms),
        "recorded": _instant(_last_change_ms(facts)),
        "agent": agents,
        "entity": [{"role": "source", "what": {"identifier": recording, "display": "Dictated recording"}}],
    }


def _agent(role: str, name: str) -> dict[str, Any]:
    return {"type": {"coding": [{"system": PARTICIPANT, "code": role}]}, "who": {"display": name}}


def _logical(kind: str, value: str | None) -> dict[str, Any]:
    return {"identifier": {"system": f"urn:medstt:{kind}", "value": value}}


def _report_code() -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": "34109-9", "display": "Note"}], "text": "Dictated report"}


def _attachment(facts: ReportFacts, document: Document) -> dict[str, Any]:
    content = document.text.encode()
    return {
        "contentType": "text/plain; charset=utf-8",
        "language": document.language if document.language in ("en", "de") else "und",
        "data": base64.b64encode(content).decode(),
        "size": len(content),
        "hash": base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),  # FHIR asks for SHA-1
        "title": f"Dictated report, version {facts.version}",
        "creation": _instant(_last_change_ms(facts)),
    }


def _signed(facts: ReportFacts) -> bool:
    return facts.state in ("final", "amended")


def _last_change_ms(facts: ReportFacts) -> int:
    return max(facts.ready_ms, facts.signed_ms or 0, *(at for _, at in facts.correctors), 0)


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _url(facts: ReportFacts, kind: str) -> str:
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{facts.id}/{kind}')}"


def _base64url(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _without_none(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if value is not None}
