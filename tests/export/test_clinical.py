from __future__ import annotations

import base64
import io
import json
from dataclasses import replace

import pytest

from medstt.errors import OptionError
from medstt.export.clinical import EXPORTS, ReportFacts, export
from medstt.values import Document, Flag, Hypothesis, ModelRef, Section, Segment, Transcript, Word

FACTS = ReportFacts(
    id="0" * 32,
    author="Dr. Ünal",
    department="cardiology",
    specialty="Cardiology",
    patient="MRN-4711",
    encounter="E-1",
    created_ms=1_700_000_000_000,
    ready_ms=1_700_000_060_000,
    state="preliminary",
    version=2,
    signed_by=None,
    signed_ms=None,
    audio_digest="ab" * 32,
)
SIGNED = replace(
    FACTS, state="final", signed_by="Dr. Ünal", signed_ms=1_700_000_900_000, correctors=(("Typist", 1_700_000_500_000),)
)
WORDS = (Word("no", Segment(0, 400), 0.9), Word("fever", Segment(400, 900), 0.4))
TRANSCRIPT = Transcript(
    "a.wav",
    "ab" * 32,
    1000,
    "en",
    ModelRef("m", "d" * 64),
    "s",
    (Hypothesis(Segment(0, 1000), WORDS, -0.1, 0.0, "en"),),
)
TEXT = "History:\nNo fever.\n\nDose 5 mg \x0b done"
DOCUMENT = Document(
    TEXT,
    "en",
    (),
    (Section("history", "History", 0, 18),),
    (Flag(9, 18, "low_confidence", "Check the negation.", "critical"),),
)


@pytest.mark.parametrize("facts", [FACTS, SIGNED, replace(SIGNED, state="amended"), replace(FACTS, patient=None)])
@pytest.mark.parametrize("kind", ["documentreference", "diagnosticreport"])
def test_fhir_is_valid_and_says_who_made_it(facts: ReportFacts, kind: str) -> None:
    from fhir.resources.R4B.bundle import Bundle

    body = json.loads(export(f"fhir-{kind}", facts, TRANSCRIPT, DOCUMENT))
    Bundle.model_validate(body)
    report, provenance = (entry["resource"] for entry in body["entry"])
    content = report["content"][0]["attachment"] if kind == "documentreference" else report["presentedForm"][0]
    assert base64.b64decode(content["data"]).decode() == TEXT
    assert report["docStatus" if kind == "documentreference" else "status"] == facts.state
    roles = [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]]
    assert roles == (
        ["author", "assembler"] if facts.state == "preliminary" else ["author", "assembler", "enterer", "attester"]
    )
    assert ("subject" in report) == (facts.patient is not None)


def test_word_marks_doubts_until_it_is_signed() -> None:
    import docx

    draft = docx.Document(io.BytesIO(export("docx", FACTS, TRANSCRIPT, DOCUMENT)))
    marked = [run.text for part in draft.paragraphs for run in part.runs if run.font.highlight_color is not None]
    assert marked == ["No fever."]
    assert draft.paragraphs[0].text.startswith("PRELIMINARY")
    assert [part.text for part in draft.paragraphs if part.style.name == "Heading 2"] == ["History:"]
    signed = docx.Document(io.BytesIO(export("docx", SIGNED, TRANSCRIPT, DOCUMENT)))
    assert not [run for part in signed.paragraphs for run in part.runs if run.font.highlight_color is not None]
    assert signed.paragraphs[0].text == "Signed by Dr. Ünal"
    assert "MRN-4711" in signed.sections[0].header.paragraphs[0].text


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_takes_an_empty_report(name: str) -> None:
    empty = replace(TRANSCRIPT, hypotheses=())
    assert isinstance(export(name, FACTS, empty, Document("", "en", ())), bytes)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(OptionError):
        export("doc", FACTS, TRANSCRIPT, DOCUMENT)
    with pytest.raises(OptionError):
        export("fhir-patient", FACTS, TRANSCRIPT, DOCUMENT)
