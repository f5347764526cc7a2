"""Known errors put into what a model really wrote, words as they are spoken; lists of their own, as in ``planted``.

`python tests/metrics/spoken_planted.py RUN...` prints the transcripts of evaluated runs as ``hypotheses.jsonl``.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

HYPOTHESES = Path(__file__).with_name("hypotheses.jsonl")

_TEENS = [("thirteen", "thirty"), ("fourteen", "forty"), ("fifteen", "fifty"), ("sixteen", "sixty"),
          ("seventeen", "seventy"), ("eighteen", "eighty"), ("nineteen", "ninety"), ("five", "nine"), ("six", "seven"),
          ("two", "ten"), ("three", "eight"), ("four", "fourteen"), ("twelve", "twenty")]  # fmt: skip
_ZEHN = [("dreizehn", "dreißig"), ("vierzehn", "vierzig"), ("fünfzehn", "fünfzig"), ("sechzehn", "sechzig"),
         ("siebzehn", "siebzig"), ("achtzehn", "achtzig"), ("neunzehn", "neunzig"), ("zwei", "drei"),
         ("fünf", "neun"), ("sechs", "sieben"), ("vier", "vierzehn"), ("acht", "achtzehn")]  # fmt: skip
QUANTITIES = frozenset({"number", "dose", "date"})  # which of them a number is depends on what stands around it
CONTRASTS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "negation": {
        "en": [("no", "new"), ("not", "now"), ("without", "with"), ("never", "ever"), ("denies", "reports")],
        "de": [("kein", "ein"), ("keine", "eine"), ("nicht", "auch"), ("ohne", "mit"), ("niemals", "manchmal")],
    },
    "side": {
        "en": [("left", "right"), ("right", "left")],
        "de": [("links", "rechts"), ("rechts", "links"), ("linke", "rechte"), ("rechte", "linke"),
               ("linken", "rechten"), ("rechten", "linken")],
    },
    "quantity": {
        "en": _TEENS + [(b, a) for a, b in _TEENS],
        "de": _ZEHN + [(b, a) for a, b in _ZEHN],
    },
    "unit": {
        "en": [("milligrams", "micrograms"), ("micrograms", "milligrams"), ("milliliters", "liters"),
               ("units", "milliliters"), ("percent", "milligrams"), ("grams", "milligrams"),
               ("centimeters", "millimeters")],
        "de": [("Milligramm", "Mikrogramm"), ("Mikrogramm", "Milligramm"), ("Milliliter", "Liter"),
               ("Einheiten", "Milliliter"), ("Prozent", "Gramm"), ("Gramm", "Milligramm"),
               ("Zentimeter", "Millimeter")],
    },
    "comparison": {
        "en": [("less than", "more than"), ("greater than", "less than"), ("more than", "less than")],
        "de": [("kleiner als", "größer als"), ("größer als", "kleiner als"), ("weniger als", "mehr als"),
               ("mehr als", "weniger als")],
    },
    "date": {
        "en": [("january", "june"), ("june", "july"), ("july", "june"), ("march", "may"), ("may", "march"),
               ("april", "august"), ("august", "april"), ("september", "december"), ("october", "november"),
               ("november", "october"), ("december", "september"), ("february", "january")],
        "de": [("januar", "februar"), ("juni", "juli"), ("juli", "juni"), ("märz", "mai"), ("mai", "märz"),
               ("april", "august"), ("august", "april"), ("september", "dezember"), ("oktober", "november"),
               ("november", "oktober"), ("dezember", "september"), ("februar", "januar")],
    },
}  # fmt: skip
# Each alone changes nothing that is dictated.
HARMLESS: dict[str, list[tuple[str, str]]] = {
    "en": [("milligrams", "mg"), ("micrograms", "mcg"), ("percent", "%"), ("no evidence of", "without evidence of"),
           ("centimeters", "cm"), ("less than", "<"), ("fifteen", "15"), ("fifty", "50"), ("ten", "10"),
           ("twice daily", "twice a day"), ("the patient", "patient"), ("is not", "isn't")],
    "de": [("Milligramm", "mg"), ("Mikrogramm", "µg"), ("Prozent", "%"), ("kleiner als", "<"), ("fünfzehn", "15"),
           ("fünfzig", "50"), ("zehn", "10"), ("Zentimeter", "cm"), ("der Patient", "Patient"),
           ("die Patientin", "Patientin")],
}  # fmt: skip


def read_hypotheses() -> list[tuple[str, str]]:
    """Return (language, text) of what the model wrote."""
    rows = [json.loads(line) for line in HYPOTHESES.read_text(encoding="utf-8").splitlines()]
    return [(row["lang"], row["text"]) for row in rows]


def _sites(text: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Return the text with one word replaced, for each place where one can be."""
    return [
        text[: match.start()] + new + text[match.end() :]
        for old, new in pairs
        for match in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", text, re.IGNORECASE)
    ]


def plant_spoken(kind: str, count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return up to ``count`` different triples (language, what the model wrote, that with one error of the kind)."""
    found = [
        (language, text, wrong)
        for language, text in read_hypotheses()
        for wrong in dict.fromkeys(_sites(text, CONTRASTS[kind][language]))
    ]
    return random.Random(f"{kind}/{seed}").sample(found, min(count, len(found)))


def reword_spoken() -> list[tuple[str, str, str]]:
    """Return every harmless change that what the model wrote has room for."""
    return [
        (language, text, other) for language, text in read_hypotheses() for other in _sites(text, HARMLESS[language])
    ]


def collect(runs: list[Path]) -> list[str]:
    """Return the transcripts of evaluated runs as JSON lines, each with its model's digest."""
    lines = []
    for run in runs:
        digest = json.loads((run / "spec.json").read_text())["system"]["digest"][:12]
        items = [json.loads(line) for line in (run / "items.jsonl").read_text().splitlines()]
        languages = {item["key"]: item["utterance"]["lang"] for item in items}
        for line in (run / "transcripts.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row.get("text"):
                out = {"model": digest, "key": row["key"], "lang": languages[row["key"]], "text": row["text"]}
                lines.append(json.dumps(out, ensure_ascii=False, sort_keys=True))
    return lines


if __name__ == "__main__":
    print("\n".join(collect([Path(name) for name in sys.argv[1:]])))
