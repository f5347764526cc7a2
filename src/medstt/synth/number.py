"""Numbers, doses, dates and times as they are spoken, English and German: random, by a given generator.

Knows nothing of templates, lexicons or speech.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from num2words import num2words

from medstt.values import Language

MONTHS = {
    "en": "january february march april may june july august september october november december".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
}
UNITS = {
    "en": "milligrams milligrams milligrams micrograms grams units milliliters tablets drops puffs".split(),
    "de": "Milligramm Milligramm Milligramm Mikrogramm Gramm Einheiten Milliliter Tabletten Tropfen Hübe".split(),
}
POINT = {"en": "point", "de": "Komma"}
DOSES = (
    0.125, 0.25, 0.5, 1, 2, 2.5, 4, 5, 6.25, 7.5, 8, 10, 12.5, 15, 16, 20, 25, 30, 32, 40, 47.5, 50, 60, 75, 80, 90, 95,
    100, 120, 125, 140, 150, 160, 175, 200, 250, 300, 320, 400, 450, 500, 600, 750, 800, 850, 875, 1000,
)  # fmt: skip


def cardinal(value: int, lang: Language) -> str:
    """Return a whole number in words, without commas, hyphens or the English "and" after hundred."""
    words = str(num2words(value, lang=lang)).replace("-", " ").replace(",", "")
    return words.replace(" and ", " ") if lang == "en" else words


def decimal(value: float, lang: Language) -> str:
    """Return a number with its decimals digit by digit: 47.5 is "forty seven point five"."""
    whole, _, digits = f"{value:g}".partition(".")
    spoken = cardinal(int(whole), lang)
    return f"{spoken} {POINT[lang]} {' '.join(cardinal(int(digit), lang) for digit in digits)}" if digits else spoken


def spoken_dose(rng: random.Random, lang: Language) -> str:
    """Return a dose with its unit."""
    return f"{decimal(rng.choice(DOSES), lang)} {rng.choice(UNITS[lang])}"


def spoken_date(rng: random.Random, lang: Language) -> str:
    """Return a date: "march third twenty twenty four", "dritten März zweitausendvierundzwanzig"."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1995, 2027)
    if lang == "en":
        spoken = f"{MONTHS['en'][month - 1]} {num2words(day, lang='en', to='ordinal').replace('-', ' ')}"
        years = (
            cardinal(year, "en")
            if 2000 <= year < 2010
            else f"{cardinal(year // 100, 'en')} {cardinal(year % 100, 'en')}"
        )
        return spoken if rng.random() < 0.4 else f"{spoken} {years}"
    ordinal = str(num2words(day, lang="de", to="ordinal")) + "n"
    name = MONTHS["de"][month - 1] if rng.random() < 0.6 else str(num2words(month, lang="de", to="ordinal")) + "n"
    spoken_year = str(num2words(year, lang="de", to="year"))
    return f"{ordinal} {name}" if rng.random() < 0.4 else f"{ordinal} {name} {spoken_year}"


def spoken_time(rng: random.Random, lang: Language) -> str:
    """Return a time of day."""
    minute = rng.choice((0, 0, 15, 30, 45, 20, 10))
    if lang == "en":
        hour = rng.randint(1, 12)
        return f"{cardinal(hour, 'en')} {cardinal(minute, 'en') + ' ' if minute else ''}{rng.choice(('a m', 'p m'))}"
    return f"{cardinal(rng.randint(1, 23), 'de')} Uhr{' ' + cardinal(minute, 'de') if minute else ''}".replace(
        "eins Uhr", "ein Uhr"
    )


def spoken_size(rng: random.Random, lang: Language) -> str:
    """Return a size in one or two dimensions."""
    unit = rng.choice({"en": ("centimeters", "millimeters"), "de": ("Zentimeter", "Millimeter")}[lang])
    by = {"en": "by", "de": "mal"}[lang]
    sides = [decimal(rng.randint(2, 90) / rng.choice((1, 10)), lang) for _ in range(rng.choice((1, 1, 2)))]
    return f"{f' {by} '.join(sides)} {unit}"


def spoken_pressure(rng: random.Random, lang: Language) -> str:
    """Return a blood pressure: "one hundred twenty over eighty", "hundertzwanzig zu achtzig"."""
    systolic, diastolic = rng.randint(85, 210), rng.randint(45, 115)
    if lang == "de":
        hundred = rng.choice(("hundert", "einhundert"))
        return f"{cardinal(systolic, 'de').replace('einhundert', hundred)} zu {cardinal(diastolic, 'de')}"
    high = cardinal(systolic, "en")
    if systolic % 100 >= 10 and rng.random() < 0.5:
        high = f"{cardinal(systolic // 100, 'en')} {cardinal(systolic % 100, 'en')}"
    return f"{high} over {cardinal(diastolic, 'en')}"


def spoken_percent(rng: random.Random, lang: Language) -> str:
    """Return a percentage."""
    return f"{cardinal(rng.randint(1, 100), lang)} {'percent' if lang == 'en' else 'Prozent'}"


def spoken_number(rng: random.Random, lang: Language) -> str:
    """Return a whole number, small ones more often."""
    return cardinal(
        rng.choice((rng.randint(2, 12), rng.randint(2, 99), rng.randint(2, 30), rng.randint(100, 999))), lang
    )


def spoken_small(rng: random.Random, lang: Language) -> str:
    """Return a count of days, weeks, polyps: 2 to 14."""
    return cardinal(rng.randint(2, 14), lang)


def spoken_decimal(rng: random.Random, lang: Language) -> str:
    """Return a number with one or two decimals, now and then a whole one."""
    value = rng.choice(
        (rng.randint(1, 99) / 10, rng.randint(10, 3000) / 10, rng.randint(1, 999) / 100, rng.randint(1, 400))
    )
    return decimal(value, lang)


def spoken_age(rng: random.Random, lang: Language) -> str:
    """Return an age in years."""
    return cardinal(rng.randint(18, 97), lang)


GENERATORS: dict[str, Callable[[random.Random, Language], str]] = {
    "age": spoken_age,
    "date": spoken_date,
    "decimal": spoken_decimal,
    "dose": spoken_dose,
    "number": spoken_number,
    "percent": spoken_percent,
    "pressure": spoken_pressure,
    "size": spoken_size,
    "small": spoken_small,
    "time": spoken_time,
}
