"""The words that the scoring normaliser treats as one: units, months, contractions, abbreviations, comparisons.

Only facts of the two languages; no code. A change here is a new version of the normaliser.
"""

from __future__ import annotations

# Spoken unit (one or more words) -> symbol. Read only after a number, another unit or "per".
_METRIC_PREFIXES = {"": "", "milli": "m", "kilo": "k", "centi": "c", "zenti": "c", "deci": "d", "dezi": "d",
                    "micro": "µ", "mikro": "µ", "nano": "n", "pico": "p", "piko": "p"}  # fmt: skip
_METRIC_STEMS = {
    "gram": "g", "grams": "g", "gramm": "g", "liter": "l", "liters": "l", "litre": "l", "litres": "l", "litern": "l",
    "meter": "m", "meters": "m", "metre": "m", "metres": "m", "metern": "m", "mole": "mol", "moles": "mol",
    "mol": "mol", "volt": "v", "volts": "v", "gray": "gy", "pascal": "pa", "sekunden": "s", "seconds": "s",
    "molar": "mol",
}  # fmt: skip
UNITS: dict[tuple[str, ...], str] = {
    (prefix + stem,): symbol + unit
    for prefix, symbol in _METRIC_PREFIXES.items()
    for stem, unit in _METRIC_STEMS.items()
    if not (stem in ("seconds", "sekunden") and prefix == "")
}
UNITS |= {
    ("mcg",): "µg", ("ug",): "µg", ("μg",): "µg", ("µg",): "µg", ("μl",): "µl", ("ul",): "µl", ("cc",): "ml",
    ("percent",): "%", ("per", "cent"): "%", ("prozent",): "%",
    ("mm", "hg"): "mmhg", ("mmhg",): "mmhg", ("millimeters", "of", "mercury"): "mmhg",
    ("millimeter", "of", "mercury"): "mmhg", ("millimeter", "quecksilbersäule"): "mmhg",
    ("millimeter", "quecksilber"): "mmhg",
    ("milliequivalents",): "meq", ("milliequivalent",): "meq", ("meq",): "meq",
    ("international", "units"): "iu", ("international", "unit"): "iu", ("iu",): "iu",
    ("internationale", "einheiten"): "iu", ("internationale", "einheit"): "iu", ("ie",): "iu",
    ("unit",): "units", ("units",): "units", ("u",): "units", ("e",): "units", ("einheiten",): "units",
    ("einheit",): "units",
    ("degrees", "celsius"): "°c", ("degree", "celsius"): "°c", ("degrees", "fahrenheit"): "°f",
    ("grad", "celsius"): "°c", ("degrees",): "°", ("degree",): "°",
    ("beats", "per", "minute"): "bpm", ("bpm",): "bpm", ("schläge", "pro", "minute"): "bpm",
    ("square", "meter"): "m²", ("square", "meters"): "m²", ("quadratmeter",): "m²", ("m2",): "m²",
    ("puffs",): "puffs", ("puff",): "puffs", ("drops",): "drops", ("tropfen",): "drops",
    ("tablets",): "tablets", ("tablet",): "tablets", ("tabletten",): "tablets", ("tablette",): "tablets",
    ("tbl",): "tablets", ("hub",): "puffs", ("hübe",): "puffs",
}  # fmt: skip
SYMBOLS = frozenset(symbol for symbol in UNITS.values()) | {
    "mg", "g", "kg", "ng", "pg", "ml", "dl", "l", "cl", "mm", "cm", "m", "km", "nm", "mol", "mmol", "nmol", "pmol",
    "µmol", "mv", "kv", "gy", "mgy", "kpa", "ms",
}  # fmt: skip
UNIT_FIRST = frozenset(phrase[0] for phrase in UNITS)
# After "per": 5 mg per hour, 40 pro Minute.
PER_TIMES = {
    "hour": "h", "minute": "min", "day": "d", "week": "week", "hr": "h", "h": "h", "min": "min", "d": "d",
    "stunde": "h", "tag": "d", "woche": "week", "std": "h",
}  # fmt: skip

MONTHS = {
    "en": {name: at for at, name in enumerate(
        "january february march april may june july august september october november december".split(), 1)},
    "de": {name: at for at, name in enumerate(
        "januar februar märz april mai juni juli august september oktober november dezember".split(), 1)}
    | {"jänner": 1, "feber": 2},
}  # fmt: skip

CONTRACTIONS = {
    "can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not", "ain't": "is not",
    "i'm": "i am", "let's": "let us", "alright": "all right",
}  # fmt: skip
CONTRACTION_ENDINGS = {"n't": " not", "'re": " are", "'ve": " have", "'ll": " will"}

# Written abbreviations whose spoken form is a phrase; keys without dots. Dotted ones are matched only with their dots.
ABBREVIATIONS = {
    "en": {"dr": "doctor", "mr": "mister", "vs": "versus"},
    "de": {"dr": "doktor", "bzw": "beziehungsweise", "ca": "circa", "zirka": "circa", "evtl": "eventuell",
           "ggf": "gegebenenfalls", "tgl": "täglich", "usw": "und so weiter", "pat": "patient"},
}  # fmt: skip
DOTTED = {
    "en": {"e.g.": "for example", "i.e.": "that is"},
    "de": {"z.b.": "zum beispiel", "z.n.": "zustand nach", "v.a.": "verdacht auf", "o.b.": "ohne befund",
           "d.h.": "das heißt", "u.a.": "unter anderem", "b.b.": "bei bedarf", "o.g.": "oben genannt"},
}  # fmt: skip
FILLERS = {"en": frozenset({"uh", "um", "uhm", "erm", "hmm", "mhm"}), "de": frozenset({"äh", "ähm", "hm", "hmm", "öh"})}

# Spoken comparison, longest first; read only before a number.
COMPARISONS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "en": (
        (("less", "than", "or", "equal", "to"), "<="), (("greater", "than", "or", "equal", "to"), ">="),
        (("no", "more", "than"), "<="), (("not", "more", "than"), "<="), (("no", "less", "than"), ">="),
        (("less", "than"), "<"), (("greater", "than"), ">"), (("more", "than"), ">"), (("smaller", "than"), "<"),
        (("larger", "than"), ">"), (("at", "least"), ">="), (("at", "most"), "<="),
    ),
    "de": (
        (("kleiner", "oder", "gleich"), "<="), (("größer", "oder", "gleich"), ">="),
        (("kleiner", "gleich"), "<="), (("größer", "gleich"), ">="), (("nicht", "mehr", "als"), "<="),
        (("kleiner", "als"), "<"), (("größer", "als"), ">"), (("weniger", "als"), "<"), (("mehr", "als"), ">"),
        (("kleiner",), "<"), (("größer",), ">"), (("mindestens",), ">="), (("höchstens",), "<="),
    ),
}  # fmt: skip
COMPARISON_FIRST = {language: frozenset(words[0] for words, _ in rows) for language, rows in COMPARISONS.items()}
SIGNS = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">="}

# Between two numbers: 120 over 80, four out of five, five to ten, three by four.
BETWEEN: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "en": (
        (("over",), "/"), (("slash",), "/"), (("out", "of"), "/"), (("to",), ".."), (("through",), ".."),
        (("by",), "x"), (("times",), "x"), (("dash",), ".."),
    ),
    "de": (
        (("zu",), "/"), (("schrägstrich",), "/"), (("von",), "/"), (("über",), "/"), (("bis",), ".."), (("mal",), "x"),
    ),
}  # fmt: skip
ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9",
         "x": "10", "xi": "11", "xii": "12"}  # fmt: skip
ROMAN_AFTER = frozenset(
    "nyha ccs asa stage stadium factor faktor grade grad class klasse type typ nerve hirnnerv degree".split()
)
LEVEL_LETTERS = frozenset("c l s t n m".split())  # vertebrae and TNM: "L five" is L5
