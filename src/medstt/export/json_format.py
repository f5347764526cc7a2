"""JSON with everything: verbatim and written text, words with times and confidences, flags, and what made it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from medstt.values import Document, Flag, Hypothesis, Transcript

NO_SPEECH_FLAG = Flag(0, 0, "no_speech", "No speech was found in the recording", "warning")


def encode(transcript: Transcript, document: Document | None) -> dict[str, Any]:
    """Return a transcript and its document as a JSON object; times in milliseconds, confidences 0-1."""
    flags = document.flags if document is not None else ()
    if not transcript.words:
        flags = (*flags, NO_SPEECH_FLAG)
    return {
        "source": transcript.source,
        "text": document.text if document is not None else transcript.text,
        "verbatim": transcript.text,
        "language": transcript.language,
        "duration_ms": transcript.duration_ms,
        "words": [
            {
                "text": word.text,
                "start_ms": word.segment.start_ms,
                "end_ms": word.segment.end_ms,
                "confidence": round(word.confidence, 4),
            }
            for word in transcript.words
        ],
        "segments": [_encode_segment(hypothesis) for hypothesis in transcript.hypotheses],
        "sections": [asdict(section) for section in document.sections] if document is not None else [],
        "flags": [{**asdict(flag), "words": list(flag.words)} for flag in flags],
        "warnings": list(transcript.warnings),
        "model": {"name": transcript.model.name, "digest": transcript.model.digest},
        "settings_digest": transcript.settings_digest,
        "audio_digest": transcript.audio_digest,
    }


def _encode_segment(hypothesis: Hypothesis) -> dict[str, Any]:
    return {
        "start_ms": hypothesis.segment.start_ms,
        "end_ms": hypothesis.segment.end_ms,
        "text": hypothesis.text,
        "language": hypothesis.language,
        "logprob": round(hypothesis.logprob, 4),
        "no_speech": round(hypothesis.no_speech, 4),
        "alternatives": [{"text": other.text, "logprob": round(other.logprob, 4)} for other in hypothesis.alternatives],
        "choices": [asdict(choice) for choice in hypothesis.choices],
    }


def render(transcript: Transcript, document: Document | None) -> bytes:
    """Return the object as indented UTF-8 JSON."""
    return (json.dumps(encode(transcript, document), ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
