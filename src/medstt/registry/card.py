"""The card of a model version: what it is, where it came from, what it was measured to do, and its gate verdict.

Owns the JSON form of ``card.json``. Knows nothing of aliases or of how figures are measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from medstt.disk import write_atomically
from medstt.errors import CorruptModel
from medstt.registry.digest import CARD

AudioContext = Literal["dynamic", "full"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the promotion gate said of one model digest.

    ``against`` is the champion it was compared with (``name@version``), None if there was none.
    ``reasons`` are sentences for a reader; ``gate`` names the gate's version or digest; ``at`` is ISO 8601, UTC.
    """

    passed: bool
    digest: str
    at: str
    against: str | None = None
    reasons: tuple[str, ...] = ()
    gate: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What a version says of itself; ``extra`` keeps the keys this class does not know when a card is rewritten.

    ``parent`` is ``name@version`` or a hub id; ``recipe``, ``vocab``, ``code`` and ``data`` are digests or revisions;
    ``warning`` is one sentence against using the model, which comes with every transcript it makes.
    ``audio_context`` "dynamic" says that the model was trained for clips shorter than 30 s.
    """

    name: str
    version: str = ""
    summary: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    audio_context: AudioContext = "full"
    created: str = ""
    parent: str | None = None
    recipe: str | None = None
    vocab: str | None = None
    code: str | None = None
    report: str | None = None
    data: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    warning: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


_LISTS = ("languages", "data", "limits")
_TABLES = ("environment", "metrics")
_TEXTS = ("name", "version", "summary", "licence", "created", "warning")


def parse_card(row: Any, where: str) -> Card:
    """Build a card from parsed JSON; raises CorruptModel naming ``where`` and the key."""
    if not isinstance(row, dict):
        raise CorruptModel(f"{where}: not a JSON object", "Write the card again")
    known = {item.name for item in fields(Card)} - {"extra"}
    values: dict[str, Any] = {key: value for key, value in row.items() if key in known}
    for key in _LISTS:
        value = values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise CorruptModel(f"{where}: {key} is not a list of strings", "Correct the card")
        values[key] = tuple(value)
    for key in _TABLES:
        if not isinstance(values.get(key, {}), dict):
            raise CorruptModel(f"{where}: {key} is not a table", "Correct the card")
    for key in _TEXTS:
        if not isinstance(values.get(key, ""), str):
            raise CorruptModel(f"{where}: {key} is not a string", "Correct the card")
    if not values.get("name"):
        raise CorruptModel(f"{where}: the name is missing", "Correct the card")
    if values.get("audio_context", "full") not in ("dynamic", "full"):
        raise CorruptModel(f"{where}: audio_context is {values['audio_context']!r}", 'Use "dynamic" or "full"')
    if values.get("verdict") is not None:
        values["verdict"] = parse_verdict(values["verdict"], where)
    return Card(**values, extra={key: value for key, value in row.items() if key not in known})


def parse_verdict(row: Any, where: str) -> Verdict:
    """Build a verdict from parsed JSON; raises CorruptModel when it is not one."""
    try:
        verdict = Verdict(**{**row, "reasons": tuple(row.get("reasons", ()))})
    except (TypeError, AttributeError) as error:
        raise CorruptModel(f"{where}: the verdict is malformed ({error})", "Run the gate again") from error
    if not isinstance(verdict.passed, bool) or not isinstance(verdict.digest, str):
        raise CorruptModel(f"{where}: the verdict does not say which digest passed", "Run the gate again")
    return verdict


def encode_card(card: Card) -> dict[str, Any]:
    """Return the card as a JSON object; empty fields are left out, except the name."""
    row: dict[str, Any] = {}
    for item in fields(Card):
        value = getattr(card, item.name)
        if item.name in ("extra", "verdict") or value in (None, "", (), {}):
            continue
        row[item.name] = list(value) if isinstance(value, tuple) else value
    if card.verdict is not None:
        row["verdict"] = {item.name: getattr(card.verdict, item.name) for item in fields(Verdict)}
        row["verdict"]["reasons"] = list(card.verdict.reasons)
    return {**row, **card.extra}


def read_card(folder: Path) -> Card:
    """Read ``card.json`` of a model folder; raises CorruptModel when it is missing or malformed."""
    path = folder / CARD
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptModel(f"{path} is missing", "Copy or add the model again from its source") from error
    except (OSError, ValueError) as error:
        raise CorruptModel(f"{path} cannot be read ({error})", "Copy or add the model again from its source") from error
    return parse_card(cast(Any, row), str(path))


def write_card(folder: Path, card: Card) -> None:
    """Write ``card.json`` atomically; the old card stands until the new one is whole."""
    write_atomically(folder / CARD, json.dumps(encode_card(card), indent=2, ensure_ascii=False) + "\n")
