"""Known errors put into correct text, from contrast lists of their own: nothing here is read from the detectors."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

SENTENCES = {
    "en": [
        "There is no evidence of fracture in the left femur.",
        "The patient denies chest pain and has no fever.",
        "She was given 5 mg of metoprolol twice daily for 10 days.",
        "Start amoxicillin 500 milligrams every 8 hours for 7 days.",
        "Potassium is less than 3.5 and creatinine is 1.2 mg/dL.",
        "Platelets were > 150 on March 3, 2025.",
        "The right kidney measures 11 cm without hydronephrosis.",
        "He is not taking warfarin and does not smoke.",
        "Give 20 units of insulin glargine at bedtime.",
        "Troponin was less than 0.04 on admission on January 12, 2024.",
        "Follow up on June 21, 2025 with the left shoulder film.",
        "Levothyroxine 75 micrograms daily, without side effects.",
        "There is a 3 cm mass in the right upper lobe.",
        "The ejection fraction is greater than 55 percent.",
        "Digoxin 0.25 mg was stopped on May 5, 2023.",
        "Fentanyl 50 mcg was given, then 100 mcg after 30 minutes.",
        "The left ventricle is not dilated.",
        "No murmur was heard over the right carotid artery.",
        "Heart rate 88, respiratory rate 16, saturation 97 %.",
        "The wound was closed with 4 sutures on the left side.",
        "Never had a stroke, no history of seizures.",
        "Blood loss was less than 200 ml during the procedure.",
        "Infuse 500 ml of saline over 4 hours.",
        "The lactate was > 4 mmol/L on August 9, 2024.",
    ],
    "de": [
        "Kein Anhalt für eine Fraktur am linken Femur.",
        "Die Patientin hat keine Schmerzen und kein Fieber.",
        "Er erhielt 5 mg Bisoprolol für 10 Tage.",
        "Beginn mit Amoxicillin 500 Milligramm alle 8 Stunden.",
        "Kalium kleiner als 3,5 und Kreatinin 1,2 mg/dl.",
        "Thrombozyten > 150 am 3. März 2025.",
        "Die rechte Niere misst 11 cm ohne Harnstau.",
        "Der Patient nimmt nicht regelmäßig Marcumar ein.",
        "Abends 20 Einheiten Insulin subkutan.",
        "Troponin weniger als 14 bei Aufnahme am 12.01.2024.",
        "Wiedervorstellung am 21. Juni 2025 wegen der linken Schulter.",
        "Levothyroxin 75 Mikrogramm täglich ohne Nebenwirkungen.",
        "Raumforderung von 3 cm im rechten Oberlappen.",
        "Die Ejektionsfraktion ist größer als 55 Prozent.",
        "Digitoxin 0,07 mg wurde am 5. Mai 2023 abgesetzt.",
        "Fentanyl 50 µg, nach 30 Minuten weitere 100 µg.",
        "Der linke Ventrikel ist nicht dilatiert.",
        "Kein Strömungsgeräusch über der rechten Karotis.",
        "Puls 88, Atemfrequenz 16, Sättigung 97 %.",
        "Wundverschluss mit 4 Nähten auf der linken Seite.",
        "Niemals Schlaganfall, keine Krampfanfälle bekannt.",
        "Blutverlust weniger als 200 ml.",
        "Infusion von 500 ml Kochsalz über 4 Stunden.",
        "Laktat > 4 mmol/l am 9. August 2024.",
    ],
}

Planter = Callable[[str, str, random.Random], str | None]

_LOST_NEGATIONS = {"en": r"\b(no|not|never|without)\s", "de": r"\b([Kk]eine?n?|nicht|ohne|[Nn]iemals)\s"}
_GAIN_BEFORE = {"en": (r"\b(is|was|were)\b", r"\1 not"), "de": (r"\b(ist|wurde|misst)\b", r"\1 nicht")}
_CONTRASTS = {
    "en": [("without", "with"), ("no", "new"), ("not", "now"), ("denies", "reports"), ("Never", "Ever")],
    "de": [("ohne", "mit"), ("Kein", "Ein"), ("keine", "eine"), ("kein", "ein"), ("nicht", "auch")],
}
_SIDES = {
    "en": [("left", "right"), ("right", "left")],
    "de": [("linken", "rechten"), ("rechten", "linken"), ("linke", "rechte"), ("rechte", "linke")],
}
_CONFUSED_DIGITS = {"5": "50", "10": "100", "7": "70", "16": "60", "20": "12", "500": "50", "75": "7.5", "50": "15",
                    "100": "10", "30": "13", "3": "30", "11": "7", "4": "14", "88": "80", "97": "79", "8": "80",
                    "0.25": "0.52", "0,07": "0,7", "200": "20", "55": "50", "150": "115", "14": "40", "3.5": "35",
                    "3,5": "35", "1.2": "12", "1,2": "12", "0.04": "0.4", "12": "20"}  # fmt: skip
_DRUG_UNIT = r"(mg|milligrams|Milligramm|mcg|µg|micrograms|Mikrogramm|units|Einheiten|ml)\b(?!/)"
_UNITS = [("mg", "µg"), ("milligrams", "micrograms"), ("Milligramm", "Mikrogramm"), ("micrograms", "milligrams"),
          ("Mikrogramm", "Milligramm"), ("mcg", "mg"), ("µg", "mg"), ("units", "ml"), ("Einheiten", "ml"),
          ("cm", "mm"), ("ml", "l"), ("mmol", "mol"), ("percent", "mg"), ("Prozent", "Gramm")]  # fmt: skip
_COMPARISONS = [("less than", "more than"), ("greater than", "less than"), (">", "<"), ("kleiner als", "größer als"),
                ("größer als", "kleiner als"), ("weniger als", "mehr als"), ("> ", ""), ("less than ", ""),
                ("weniger als ", "")]  # fmt: skip
_DATES = [("March 3", "March 13"), ("January 12", "January 2"), ("June 21", "July 21"), ("May 5, 2023", "May 5, 2024"),
          ("August 9", "August 19"), ("3. März", "13. März"), ("12.01.2024", "12.07.2024"), ("21. Juni", "21. Juli"),
          ("5. Mai 2023", "5. Mai 2024"), ("9. August", "19. August"), ("June", "January"),
          ("2024", "2014")]  # fmt: skip


def _replace_one(text: str, pairs: list[tuple[str, str]], rng: random.Random) -> str | None:
    usable = []
    for old, new in pairs:
        pattern = rf"(?<![\w/]){re.escape(old)}" + (r"(?!\w)" if old[-1].isalnum() else "")
        usable += [(match, new) for match in re.finditer(pattern, text)]
    if not usable:
        return None
    match, new = rng.choice(usable)
    return text[: match.start()] + new + text[match.end() :]


def plant_negation(text: str, language: str, rng: random.Random) -> str | None:
    """Drop a negation, replace it by its contrast, or add one."""
    how = rng.choice(("drop", "contrast", "gain"))
    if how == "contrast":
        return _replace_one(text, _CONTRASTS[language], rng)
    pattern, new = (_LOST_NEGATIONS[language], "") if how == "drop" else _GAIN_BEFORE[language]
    matches = list(re.finditer(pattern, text))
    if not matches or (how == "drop" and matches[0].start() == 0 and len(matches) == 1 and rng.random() < 0.5):
        return None
    match = rng.choice(matches)
    return text[: match.start()] + match.expand(new) + text[match.end() :]


def plant_side(text: str, language: str, rng: random.Random) -> str | None:
    """Say left for right."""
    return _replace_one(text, _SIDES[language], rng)


def _other_number(match: re.Match[str], text: str) -> str | None:
    new = _CONFUSED_DIGITS.get(match.group())
    return None if new is None else text[: match.start()] + new + text[match.end() :]


_DATE_SPAN = r"(January|March|May|June|August)\s\d+,\s\d{4}|\d+\.\s(März|Mai|Juni|August)\s\d{4}|\d\d\.\d\d\.\d{4}"


def _plant_quantity(text: str, rng: random.Random, dose: bool) -> str | None:
    dates = [match.span() for match in re.finditer(_DATE_SPAN, text)]
    matches = []
    for match in re.finditer(r"(?<![\d.,])\d+(?:[.,]\d+)?(?![\d/])", text):
        in_date = any(start <= match.start() < end for start, end in dates)
        is_dose = bool(re.match(r"\s" + _DRUG_UNIT, text[match.end() :]))
        if not in_date and is_dose is dose:
            matches.append(match)
    return _other_number(rng.choice(matches), text) if matches else None


def plant_number(text: str, language: str, rng: random.Random) -> str | None:
    """Confuse a number that is no dose."""
    return _plant_quantity(text, rng, dose=False)


def plant_dose(text: str, language: str, rng: random.Random) -> str | None:
    """Confuse the number of a dose."""
    return _plant_quantity(text, rng, dose=True)


def plant_unit(text: str, language: str, rng: random.Random) -> str | None:
    """Confuse a unit."""
    return _replace_one(text, _UNITS, rng)


def plant_comparison(text: str, language: str, rng: random.Random) -> str | None:
    """Turn a comparison around, or lose it."""
    return _replace_one(text, _COMPARISONS, rng)


def plant_date(text: str, language: str, rng: random.Random) -> str | None:
    """Confuse day, month or year."""
    return _replace_one(text, _DATES, rng)


PLANTERS: dict[str, Planter] = {
    "negation": plant_negation,
    "side": plant_side,
    "number": plant_number,
    "dose": plant_dose,
    "unit": plant_unit,
    "comparison": plant_comparison,
    "date": plant_date,
}

# The same content in other words or another spelling: no critical error of any kind.
HARMLESS = {
    "en": [
        (r"(\d+) mg\b(?!/)", lambda m: f"{m[1]} milligrams"), (r"\b5 mg\b", "five milligrams"),
        (r"\bno evidence of\b", "without evidence of"), (r"\bdoes not\b", "doesn't"), (r"\bis not\b", "isn't"),
        (r"\bis less than\b", "is <"), (r"(?<=\s)> (?=\d)", "greater than "), (r"\b10 days\b", "ten days"),
        (r"\b20 units\b", "twenty units"), (r"\bMarch 3, 2025\b", "03/03/2025"),
        (r"\bJune 21, 2025\b", "June 21st 2025"),
        (r"\bpercent\b", "%"), (r"\b97 %", "ninety seven percent"), (r"\bThe patient\b", "Patient"),
        (r"\b75 micrograms\b", "75 mcg"), (r"\b0\.25 mg\b", "0.250 mg"), (r"\b8 hours\b", "eight hours"),
        (r"\btwice daily\b", "twice a day"), (r"\bfilm\b", "radiograph"), (r"\bdenies chest\b", "has no chest"),
        (r"\b500 ml\b", "five hundred milliliters"), (r"\.$", ""), (r"\bMay 5, 2023\b", "the fifth of May 2023"),
        (r"\b1\.2 mg/dL", "one point two milligrams per deciliter"), (r"\b3 cm\b", "3 centimeters"),
    ],
    "de": [
        (r"(\d+) mg\b(?!/)", lambda m: f"{m[1]} Milligramm"), (r"\b5 mg\b", "fünf Milligramm"),
        (r"\b10 Tage\b", "zehn Tage"), (r"\b20 Einheiten\b", "zwanzig Einheiten"), (r"\b3\. März 2025", "03.03.2025"),
        (r"\b21\. Juni 2025", "einundzwanzigsten Juni 2025"), (r"\bProzent\b", "%"),
        (r"\b97 %", "siebenundneunzig Prozent"),
        (r"\bkleiner als\b", "<"), (r"(?<=\s)> (?=\d)", "größer als "), (r"\b75 Mikrogramm\b", "75 µg"),
        (r"\b8 Stunden\b", "acht Stunden"), (r"\bDie Patientin\b", "Patientin"),
        (r"\b500 ml\b", "fünfhundert Milliliter"),
        (r"\b1,2 mg/dl", "eins Komma zwei Milligramm pro Deziliter"), (r"\b3 cm\b", "drei Zentimeter"), (r"\.$", ""),
        (r"\b12\.01\.2024", "12. Januar 2024"), (r"\bohne Harnstau\b", "kein Harnstau"), (r"\b0,07\b", "0,070"),
        (r"\bder linken Seite\b", "der linken Körperseite"), (r"\bStrömungsgeräusch\b", "Geräusch"),
        (r"\b9\. August 2024", "neunten August zweitausendvierundzwanzig"),
    ],
}  # fmt: skip


def plant(kind: str, count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return ``count`` triples (language, correct text, text with one error of the kind)."""
    rng = random.Random(f"{kind}/{seed}")
    planted = []
    while len(planted) < count:
        language = rng.choice(("en", "de"))
        text = rng.choice(SENTENCES[language])
        wrong = PLANTERS[kind](text, language, rng)
        if wrong is not None and wrong != text:
            planted.append((language, text, wrong))
    return planted


def reword(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return ``count`` triples (language, text, the same said otherwise) with one to three harmless changes."""
    rng = random.Random(f"reword/{seed}")
    reworded = []
    while len(reworded) < count:
        language = rng.choice(("en", "de"))
        text = rng.choice(SENTENCES[language])
        other = text
        for pattern, new in rng.sample(HARMLESS[language], len(HARMLESS[language])):
            if rng.random() < 0.5:
                other = re.sub(pattern, new, other, count=1)
        if other != text:
            reworded.append((language, text, other))
    return reworded
