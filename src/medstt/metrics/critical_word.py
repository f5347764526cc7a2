"""The words that the critical-error detectors know, per language. Only facts; the test's contrast lists stand apart."""

from __future__ import annotations

import re

NEGATION: dict[str, re.Pattern[str]] = {
    "en": re.compile(
        r"^(no|not|without|never|none|nothing|neither|nobody|den(y|ies|ied|ying)|negative|absen(t|ce)|"
        r"afebrile|asymptomatic|abnormal|atypical|unremarkable|irregular(ly)?|unstable|unchanged|unable|unlikely|"
        r"non(tender|distended|specific|contributory|compliant|palpable|radiating|smoker)|insufficient)$"
    ),
    "de": re.compile(
        r"^(kein(e[nmrs]?)?|nicht|ohne|nie|niemals|nichts|nein|weder|verneint(e[nmrs]?)?|negiert(e[nmrs]?)?|"
        r"negativ(e[nmrs]?)?|fehlend(e[nmrs]?)?|fehlt|unauffällig(e[nmrs]?)?|unregelmäßig(e[nmrs]?)?|afebril(e[nmrs]?)?|"
        r"unverändert(e[nmrs]?)?|asymptomatisch(e[nmrs]?)?|unklar(e[nmrs]?)?|nichtraucher(in)?)$"
    ),
}

SIDES: dict[str, dict[str, re.Pattern[str]]] = {
    "en": {
        "left": re.compile(r"^left(ward|sided)?$"),
        "right": re.compile(r"^right(ward|sided)?$"),
        "both": re.compile(r"^bilateral(ly)?$"),
    },
    "de": {
        "left": re.compile(r"^(links\w*|linke[nmrs]?|li)$"),
        "right": re.compile(r"^(rechts\w*|rechte[nmrs]?)$"),
        "both": re.compile(r"^(beidseit\w*|bds|bilateral\w*|beiderseits)$"),
    },
}

DATE_WORDS: dict[str, frozenset[str]] = {
    "en": frozenset(
        "monday tuesday wednesday thursday friday saturday sunday january february april june july august september "
        "october november december yesterday tomorrow today".split()
    ),
    "de": frozenset(
        "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag januar jänner februar märz april mai "
        "juni juli august september oktober november dezember gestern morgen heute vorgestern".split()
    ),
}

COMPARATIVES = dict.fromkeys("less fewer smaller lower weniger kleiner niedriger".split(), "<") | dict.fromkeys(
    "more greater larger higher mehr größer höher".split(), ">"
)

DOSE_UNITS = frozenset("mg g µg ng ml l units iu meq mmol tablets puffs drops mg/kg gy mgy".split())
PER_VOLUME = frozenset({"dl", "l", "ml", "µl", "mm", "mmol", "mol"})

# "one" as a pronoun is no number.
NOT_A_COUNT_BEFORE = frozenset("of who that which more another can could would should is may might".split())
NOT_A_COUNT_AFTER = frozenset("no this that which the any every each some only another".split())

# Poles that are one sound apart, or stand for each other's contrary. The matched text is the pole.
OPPOSITES: dict[str, re.Pattern[str]] = {
    "level": re.compile(r"^(hyper|hypo)(?=[a-zäöü]{3})"),
    "rate": re.compile(r"^(tachy|brady)(?=[a-zäöü]{3})"),
    "trend": re.compile(r"^(increas|decreas|erhöh|erniedrig|vermehr|verminder|zunahm|abnahm|zunehm|abnehm)"),
    "phase": re.compile(r"^(systol|diastol)"),
    "front": re.compile(r"^(anterior|posterior|ventral|dorsal)"),
    "height": re.compile(r"^(superior|inferior|kranial|kaudal|cranial|caudal|upper|lower)"),
    "depth": re.compile(r"^(proximal|distal)"),
    "middle": re.compile(r"^(medial|lateral)"),
    "nature": re.compile(r"^(benign|malignan|gutartig|bösartig)"),
    "course": re.compile(r"^(acute|chronic|akut|chronisch)"),
    "time": re.compile(r"^(before|after|vor|nach)$"),
    "finding": re.compile(r"^(positiv|negativ)"),
}
