"""What makes a model version the one it claims to be: SHA-256 of each file, and one digest over them.

Of the card only what changes decoding counts, because verdicts and notes are added to it later. Knows nothing of names
or aliases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medstt.disk import digest_file
from medstt.errors import CorruptModel, ModelError

DIGESTS = "digests.json"
CARD = "card.json"
NOT_DIGESTED = frozenset({DIGESTS, CARD})
DECODING = "card.json#decoding"
DECODING_KEYS = ("alignment_heads", "audio_context", "languages")


def list_files(folder: Path) -> list[str]:
    """Return the relative names (with ``/``) of a model's files in order, hidden files, card and digests left out."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        name.as_posix()
        for name in names
        if name.as_posix() not in NOT_DIGESTED and not any(part.startswith(".") for part in name.parts)
    )


def digest_files(folder: Path, card: Mapping[str, Any]) -> dict[str, str]:
    """Return relative name -> SHA-256 for every file of a model, and for the part of its card that changes decoding."""
    return {**{name: digest_file(folder / name) for name in list_files(folder)}, DECODING: digest_decoding(card)}


def digest_decoding(card: Mapping[str, Any]) -> str:
    """Return the SHA-256 of those keys of a card (as JSON) that an engine acts upon."""
    relevant = {key: card[key] for key in DECODING_KEYS if card.get(key)}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def digest_model(digests: Mapping[str, str]) -> str:
    """Return the one digest of a model: the SHA-256 of its files' digests in canonical JSON."""
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


def read_digests(folder: Path) -> dict[str, str]:
    """Return the recorded digests of a model folder; raises CorruptModel when they are missing or malformed."""
    path = folder / DIGESTS
    remedy = "Copy or add the model again from its source"
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptModel(f"{path} is missing", remedy) from error
    except (OSError, ValueError) as error:
        raise CorruptModel(f"{path} cannot be read ({error})", remedy) from error
    if not isinstance(recorded, dict) or not all(isinstance(value, str) for value in recorded.values()):
        raise CorruptModel(f"{path} is not a table of names and digests", remedy)
    return recorded


def verify_files(folder: Path) -> str:
    """Compare every file with its recorded digest, return the model's digest; raises CorruptModel naming the file."""
    recorded = read_digests(folder)
    files = {name: value for name, value in recorded.items() if name != DECODING}
    remedy = "Restore the file or add the model again from its source; a changed model is a new version"
    present = set(list_files(folder))
    for name in sorted(set(files) - present):
        raise CorruptModel(f"{folder / name} is missing", remedy)
    for name in sorted(present - set(files)):
        raise CorruptModel(f"{folder / name} is not part of the recorded model", remedy)
    for name, expected in sorted(files.items()):
        try:
            found = digest_file(folder / name)
        except OSError as error:
            raise ModelError(f"{folder / name} cannot be read ({error.strerror})", "Check its permissions") from error
        if found != expected:
            raise CorruptModel(
                f"{folder / name} is not the recorded file (digest {found[:12]}, not {expected[:12]})", remedy
            )
    if recorded.get(DECODING) != digest_decoding(_read_card_json(folder)):
        raise CorruptModel(f"{folder / CARD} does not match its recorded digest in {', '.join(DECODING_KEYS)}", remedy)
    return digest_model(recorded)


def _read_card_json(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptModel(
            f"{folder / CARD} cannot be read ({error})", "Add the model again from its source"
        ) from error
    return card if isinstance(card, dict) else {}
