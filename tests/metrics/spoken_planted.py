"""Known errors put into what a model really wrote, words as they are spoken; lists of their own, as in ``planted``.

`python tests/metrics/spoken_planted.py RUN... > hypotheses.jsonl` prints transcripts of evaluated runs; those of
`critical` and `numbers` have room for every kind.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HYPOTHESES = Path(__file__).with_name("hypotheses.jsonl")
MOST = 320  # transcripts of one run that are kept

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


# A number beside another number word is part of a longer number, and only that as a whole can be written in digits.
_NUMBER_WORD = {
    "en": re.compile(
        r"(zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand|point|"
        r"half|and|\w*\d\w*)"
    ),
    "de": re.compile(
        r"\w*(null|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|zig|ßig|hundert|tausend|komma|halb|\d)\w*"
    ),
}


def read_hypotheses() -> list[tuple[str, str]]:
    """Return (language, text) of what the model wrote."""
    rows = [json.loads(line) for line in HYPOTHESES.read_text(encoding="utf-8").splitlines()]
    return [(row["lang"], row["text"]) for row in rows]


def _sites(text: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Return the text with one word replaced, for each place where one can be."""
    return [text[: match.start()] + new + text[match.end() :] for match, new in _matches(text, pairs)]


def _matches(text: str, pairs: list[tuple[str, str]]) -> Iterator[tuple[re.Match[str], str]]:
    for old, new in pairs:
        for match in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", text, re.IGNORECASE):
            yield match, new


def _is_part_of_a_number(text: str, match: re.Match[str], language: str) -> bool:
    around = [*text[: match.start()].split()[-1:], *text[match.end() :].split()[:1]]
    return any(_NUMBER_WORD[language].fullmatch(word.lower()) for word in around)


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
        (language, text, text[: match.start()] + new + text[match.end() :])
        for language, text in read_hypotheses()
        for match, new in _matches(text, HARMLESS[language])
        if not (new.isdigit() and _is_part_of_a_number(text, match, language))
    ]


def collect(run: Path, most: int) -> list[str]:
    """Return transcripts of an evaluated run as JSON lines with the model's digest, ``most`` of them by checksum."""
    spec = json.loads((run / "spec.json").read_text(encoding="utf-8"))
    digest = str(spec["system"].get("digest") or spec["system"].get("name"))[:12]
    items = map(json.loads, (run / "items.jsonl").read_text(encoding="utf-8").splitlines())
    languages = {item["key"]: item["utterance"]["lang"] for item in items}
    said = {}
    for line in (run / "transcripts.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("text"):
            said[row["key"]] = row["text"]
    chosen = sorted(sorted(said), key=lambda key: hashlib.sha256(key.encode()).digest())[:most]
    rows = [{"model": digest, "key": key, "lang": languages[key], "text": said[key]} for key in sorted(chosen)]
    return [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows]


if __name__ == "__main__":
    print("\n".join(line for name in sys.argv[1:] for line in collect(Path(name), MOST)))
