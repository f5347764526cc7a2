"""The scoring normaliser: text to the tokens that two systems are compared on, at three levels, versioned.

``verbatim`` splits at white space. ``plain`` also forgets case and sentence punctuation. ``content`` also reads
numbers, units, dates, comparisons and contractions as one spelling ("five milligrams" is "5 mg"), so that a writing
style is no error. No level loses an umlaut, a sign, a comparison or a unit. Knows nothing of models, alignment or the
dictation layer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from medstt.errors import OptionError
from medstt.text import normalise_table as table
from medstt.text.normalise_number import GERMAN_ONE, number_text, ordinal_word, read_number

VERSION = 1
Level = Literal["verbatim", "plain", "content"]
LEVELS: tuple[Level, ...] = ("verbatim", "plain", "content")
Kind = Literal["word", "number", "ordinal", "unit", "sign", "date"]


@dataclass(frozen=True, slots=True)
class Token:
    """One canonical token and what it is; ``spoken`` numbers came from words ("five"), not from digits."""

    text: str
    kind: Kind
    spoken: bool = False


def normaliser_id(level: Level) -> str:
    """Return the name that a report records, such as ``content-1``."""
    return f"{level}-{VERSION}"


def normalise(text: str, language: str, level: Level = "content") -> list[str]:
    """Return the scoring tokens of a text at one level; raises OptionError for an unknown level."""
    if level == "verbatim":
        return unicodedata.normalize("NFC", text).split()
    if level == "plain":
        return plain_words(text)
    if level == "content":
        return [token.text for token in canonicalise(text, language)]
    raise OptionError(f"normaliser level {level!r} is unknown", f"Use one of {', '.join(LEVELS)}")


_PLAIN_STRIP = ".,;:!?\"'()[]{}„“”‚‘’«»…–—*_"
_PLAIN_JOIN = re.compile(r"(?<!\S)([<>]=?|[≤≥±])\s+(?=[\d.])")


def plain_words(text: str) -> list[str]:
    """Return the lower-case words of a text without sentence punctuation; ``<5``, ``-0.5`` and ``%`` stay."""
    text = _PLAIN_JOIN.sub(r"\1", unicodedata.normalize("NFC", text).replace("’", "'"))
    return [word for word in (plain_word(raw) for raw in text.split()) if word]


def plain_word(raw: str) -> str:
    """Return one white-space separated word at the plain level, empty if only punctuation is left."""
    word = raw.lower().replace("’", "'").rstrip(_PLAIN_STRIP)
    bare = word.lstrip(_PLAIN_STRIP)
    if word.endswith("-"):
        bare = bare.rstrip("-")
    return f".{bare}" if bare[:1].isdigit() and word[-len(bare) - 1 : -len(bare)] == "." else bare


_TOKEN = re.compile(
    r"""(?P<date>\d{4}-\d{2}-\d{2}(?!\d)|\d{1,2}\.\s?\d{1,2}\.\s?\d{4}(?!\d)|\d{1,2}/\d{1,2}/\d{4}(?!\d))
      | (?P<time>\d{1,2}:\d{2}(?!\d))
      | (?P<number>\d+(?:[.,]\d+)*|(?<![\w.])\.\d+)(?P<suffix>[^\W\d_]*)
      | (?P<word>[^\W\d_][^\W_]*(?:'[^\W_]+)*)
      | (?P<sign><=|>=|=<|=>|[<>≤≥±+/%°²×\-–−])
      | (?P<pause>[,;:.!?()]+(?=\s))""",
    re.VERBOSE,
)
_DOTTED = re.compile(r"(?<!\w)(?:[^\W\d_]\.\s?){2,}")
_GROUPED = {"en": re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?"), "de": re.compile(r"[1-9]\d{0,2}(\.\d{3})+(,\d+)?")}


def canonicalise(text: str, language: str) -> list[Token]:
    """Return the content tokens of a text with their kinds."""
    if language not in table.MONTHS:
        raise OptionError(f"no normaliser for language {language!r}", "Use en or de")
    tokens = _tokenise(_prepare(text, language), language)
    for step in _STEPS:
        tokens = step(tokens, language)
    return tokens


def _prepare(text: str, language: str) -> str:
    text = unicodedata.normalize("NFC", text).lower().replace("’", "'").replace("μ", "µ")
    text = _DOTTED.sub(lambda match: _undot(match.group(), language), text)
    return text.replace("−", "-")


def _undot(match: str, language: str) -> str:
    letters = "".join(match.split())
    return table.DOTTED[language].get(letters, letters.replace(".", "")) + " "


def _tokenise(text: str, language: str) -> list[Token]:
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        if match["date"]:
            tokens.extend(_digit_date(match["date"], language))
        elif match["time"]:
            hour, minute = match["time"].split(":")
            tokens += [Token(str(int(hour)), "number"), Token(minute if minute == "00" else str(int(minute)), "number")]
        elif match["number"]:
            tokens.extend(_digit_tokens(match["number"], match["suffix"], language))
        elif match["word"]:
            tokens.extend(_word_tokens(match["word"], language))
        elif match["pause"]:
            tokens.append(_PAUSE)
        else:
            tokens.extend(_sign_tokens(match["sign"], text, match.start(), match.end()))
    return tokens


# What parts two spoken numbers ("twenty, five"); gone once numbers are read.
_PAUSE, _DASH = Token("|", "sign"), Token("–", "sign")


def _digit_tokens(digits: str, suffix: str, language: str) -> list[Token]:
    tokens = [Token(number, "number") for number in _parse_digits(digits, language)]
    if not suffix:
        return tokens
    if language == "en" and suffix in ("st", "nd", "rd", "th") and digits.isdigit():
        return [Token(_ordinal(int(digits)), "ordinal")]
    if suffix in table.SYMBOLS or (suffix,) in table.UNITS or len(suffix) > 2 or suffix in ("h", "x", "am", "pm"):
        return [*tokens, Token(suffix, "word")]
    return [Token(digits + suffix, "word")]


def _parse_digits(digits: str, language: str) -> list[str]:
    group, point = (",", ".") if language == "en" else (".", ",")
    if _GROUPED[language].fullmatch(digits):
        return [number_text(Decimal(digits.replace(group, "").replace(point, ".")))]
    if digits.count(".") + digits.count(",") <= 1:
        if language == "en" and "," in digits:
            return [number_text(Decimal(part)) for part in digits.split(",")]
        if digits.isdigit():
            return [digits if digits.startswith("0") and len(digits) > 1 else number_text(Decimal(digits))]
        return [number_text(Decimal(digits.replace(",", ".")))]
    return [number_text(Decimal(part)) for part in re.split(r"[.,]", digits) if part]


def _word_tokens(word: str, language: str) -> list[Token]:
    if language == "en":
        word = table.CONTRACTIONS.get(word, word)
        for ending, replacement in table.CONTRACTION_ENDINGS.items():
            if word.endswith(ending):
                word = word[: -len(ending)] + replacement
    word = table.ABBREVIATIONS[language].get(word, word)
    return [Token(part, "word") for part in word.split()]


def _sign_tokens(sign: str, text: str, start: int, end: int) -> list[Token]:
    sign = table.SIGNS.get(sign, "-" if sign == "–" else sign)
    if sign == "-":
        left, right = text[:start].rstrip()[-1:], text[end:].lstrip()[:1]
        tight = text[end : end + 1].strip() != ""
        if left.isdigit() and right.isdigit():
            return [Token("..", "sign")]
        if tight and (right.isdigit() or right == ".") and not text[start - 1 : start].isalnum():
            return [Token("-", "sign")]
        return [] if tight and not text[start - 1 : start].isspace() else [_DASH]
    if sign == "/" and not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
        return []
    return [Token("x" if sign == "×" else sign, "word" if sign == "×" else "sign")]


def _digit_date(digits: str, language: str) -> list[Token]:
    if "/" in digits:
        first, second, year = digits.split("/")
        month, day = (first, second) if language == "en" else (second, first)
    elif "-" in digits:
        year, month, day = digits.split("-")
    else:
        day, month, year = (part.strip() for part in digits.split("."))
    if 1 <= int(month) <= 12 and 1 <= int(day) <= 31:
        return [_date(int(month), int(day), year)]
    return [Token(part, "number") for part in re.split(r"[-./\s]+", digits)]


def _date(month: int, day: int | None, year: str | None) -> Token:
    return Token(f"{year or '-'}-{month:02d}" + (f"-{day:02d}" if day else ""), "date")


def _ordinal(value: int) -> str:
    return "second" if value == 2 else f"{value}th"  # "second" is also a unit of time: it keeps its word


def _read_numbers(tokens: list[Token], language: str) -> list[Token]:
    tokens = [
        t for at, t in enumerate(tokens) if t != _PAUSE or not at or tokens[at - 1].text not in ("thousand", "million")
    ]
    words = [token.text if token.kind in ("word", "number") else "" for token in tokens]
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        found = read_number(words, at, language) if words[at] else None
        if found and not (language == "en" and token.text == "a" and found[1] == 1):
            out.append(Token(found[0], "number", spoken=True))
            at += found[1]
            continue
        value = ordinal_word(token.text, language) if token.kind == "word" else None
        if value and not _german_plain(token, language):
            previous = out[-1] if out else None
            if language == "en" and previous and previous.spoken and previous.text in ("20", "30") and value < 10:
                value += int(out.pop().text)
            token = Token(_ordinal(value) if value != 2 or language == "de" else "second", "ordinal", spoken=True)
        out.append(token)
        at += 1
    return [_lone_one(out, at, language) for at in range(len(out)) if not _drops(out, at)]


def _drops(tokens: list[Token], at: int) -> bool:
    if tokens[at] == _DASH and 0 < at < len(tokens) - 1:
        return not (tokens[at - 1].kind == "number" == tokens[at + 1].kind)
    return tokens[at] in (_PAUSE, _DASH)


def _german_plain(token: Token, language: str) -> bool:
    return language == "de" and token.text in ("erste", "ersten", "erster", "erstes", "achte", "achten")


def _lone_one(tokens: list[Token], at: int, language: str) -> Token:
    token = tokens[at]
    if language == "de" and token.text in GERMAN_ONE and at + 1 < len(tokens):
        following = tokens[at + 1].text
        if following in table.SYMBOLS or (following,) in table.UNITS:
            return Token("1", "number", spoken=True)
    return Token("..", "sign") if token == _DASH else token


def _read_units(tokens: list[Token], language: str) -> list[Token]:
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        previous = out[-1] if out else None
        found = _unit_at(tokens, at) if previous and _unit_may_follow(out) else None
        if found:
            out.append(Token(found[0], "unit"))
            at += found[1]
            continue
        if previous and previous.kind == "unit" and tokens[at].text in ("per", "pro", "a") and at + 1 < len(tokens):
            nominator = _unit_at(tokens, at + 1) or _per_time(tokens[at + 1])
            if nominator:
                out += [Token("/", "sign"), Token(nominator[0], "unit")]
                at += 1 + nominator[1]
                continue
        out.append(tokens[at])
        at += 1
    return out


def _unit_may_follow(out: list[Token]) -> bool:
    last = out[-1]
    return last.kind == "number" or (last.text == "/" and len(out) > 1 and out[-2].kind == "unit")


def _per_time(token: Token) -> tuple[str, int] | None:
    return (table.PER_TIMES[token.text], 1) if token.text in table.PER_TIMES else None


def _unit_at(tokens: list[Token], at: int) -> tuple[str, int] | None:
    word = tokens[at].text
    if word in ("%", "°"):
        following = tokens[at + 1].text if at + 1 < len(tokens) else ""
        return (f"°{following}", 2) if word == "°" and following in ("c", "f") else (word, 1)
    if word in table.UNIT_FIRST:
        for length in (3, 2, 1):
            symbol = table.UNITS.get(tuple(token.text for token in tokens[at : at + length]))
            if symbol and length <= len(tokens) - at:
                if symbol == "m" and at + 1 < len(tokens) and tokens[at + 1].text == "²":
                    return "m²", length + 1
                return symbol, length
    if word in table.SYMBOLS:
        return ("m²", 2) if word == "m" and at + 1 < len(tokens) and tokens[at + 1].text == "²" else (word, 1)
    return (table.PER_TIMES[word], 1) if at and tokens[at - 1].text == "/" and word in table.PER_TIMES else None


def _read_dates(tokens: list[Token], language: str) -> list[Token]:
    months = table.MONTHS[language]
    if not any(token.text in months for token in tokens) and language == "en":
        return tokens
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        found = _date_at(tokens, at, language, months)
        if found:
            out.append(found[0])
            at += found[1]
        else:
            out.append(tokens[at])
            at += 1
    return out


def _day(token: Token) -> int | None:
    digits = token.text.removesuffix("th") if token.kind == "ordinal" else token.text
    digits = "2" if digits == "second" else digits
    return int(digits) if token.kind in ("number", "ordinal") and digits.isdigit() and 1 <= int(digits) <= 31 else None


def _year(tokens: list[Token], at: int) -> str | None:
    if at < len(tokens) and tokens[at].kind == "number" and re.fullmatch(r"(18|19|20)\d\d", tokens[at].text):
        return tokens[at].text
    return None


def _date_at(tokens: list[Token], at: int, language: str, months: dict[str, int]) -> tuple[Token, int] | None:
    """Read a date at ``at``: month day [year] (EN), [the] day [of] month [year], ordinal ordinal [year] (DE)."""
    token = tokens[at]
    rest = tokens[at + 1 :][:3]
    month = months.get(token.text)
    if month and rest:
        day = _day(rest[0]) if language == "en" else None
        if day:
            year = _year(tokens, at + 2)
            return _date(month, day, year), 3 if year else 2
        year = _year(tokens, at + 1)
        return (_date(month, None, year), 2) if year else None
    day = _day(token)
    if not day or not rest:
        return None
    gap = 1 if rest[0].text == "of" and len(rest) > 1 else 0
    month = months.get(rest[gap].text)
    if month is None and language == "de" and token.kind == "ordinal" and rest[0].kind == "ordinal":
        month = _day(rest[0]) if (_day(rest[0]) or 13) <= 12 else None
    if not month:
        return None
    year = _year(tokens, at + gap + 2)
    return _date(month, day, year), gap + (3 if year else 2)


def _read_comparisons(tokens: list[Token], language: str) -> list[Token]:
    first = table.COMPARISON_FIRST[language]
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        sign, length = tokens[at], 1
        if tokens[at].text in first:
            for words, symbol in table.COMPARISONS[language]:
                end = at + len(words)
                matches = tuple(token.text for token in tokens[at:end]) == words
                if matches and end < len(tokens) and tokens[end].kind == "number":
                    sign, length = Token(symbol, "sign"), len(words)
                    break
        out.append(sign)
        at += length
    return out


def _read_between(tokens: list[Token], language: str) -> list[Token]:
    """Read what stands between two numbers (over, out of, to, by) as one sign, and "one twenty over" as 120."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        found = _between_at(tokens, at, language) if out and out[-1].kind == "number" else None
        if found is None:
            out.append(tokens[at])
            at += 1
            continue
        symbol, length = found
        if symbol == "/" and len(out) > 1 and _glues(out[-2], out[-1]):
            out[-2:] = [Token(out[-2].text + out[-1].text, "number", spoken=True)]
        out.append(Token(symbol, "sign"))
        at += length
        if symbol == "/" and at + 1 < len(tokens) and _glues(tokens[at], tokens[at + 1]):
            out.append(Token(tokens[at].text + tokens[at + 1].text, "number", spoken=True))
            at += 2
    return out


def _between_at(tokens: list[Token], at: int, language: str) -> tuple[str, int] | None:
    for words, symbol in table.BETWEEN[language]:
        end = at + len(words)
        if end < len(tokens) and tokens[end].kind == "number":
            if tuple(token.text for token in tokens[at:end]) == words:
                return symbol, len(words)
            if tokens[at].text == symbol and end == at + 1:
                return symbol, 1
    return None


def _glues(left: Token, right: Token) -> bool:
    """Tell whether two spoken numbers are one in a blood pressure: "one twenty", "one oh five" is not read here."""
    return left.spoken and right.spoken and len(left.text) == 1 and left.text != "0" and len(right.text) == 2


def _read_signs(tokens: list[Token], language: str) -> list[Token]:
    """Join minus signs to their numbers, and drop separators that the spoken form does not have (1-0-1, 5 = 5)."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.text in ("-", "minus") and following and following.kind == "number" and following.text[0] != "-":
            out.append(Token("-" + following.text, "number", following.spoken))
            at += 2
            continue
        if token.text == "plus":
            token = Token("+", "sign")
        if token.text != "-":
            out.append(token)
        at += 1
    return _open_schemes(out)


def _open_schemes(tokens: list[Token]) -> list[Token]:
    drop = set()
    for at in range(1, len(tokens) - 3):
        if tokens[at].text == ".." == tokens[at + 2].text and tokens[at + 1].kind == "number":
            drop |= {at, at + 2}
    return [token for at, token in enumerate(tokens) if at not in drop] if drop else tokens


def _read_names(tokens: list[Token], language: str) -> list[Token]:
    """Read level names (L five -> l5), Roman numerals after their noun, spelled letters (i v -> iv), clock times."""
    out: list[Token] = []
    for at, token in enumerate(tokens):
        previous = out[-1] if out else None
        if token.kind == "number" and previous and previous.text in table.LEVEL_LETTERS and token.text.isdigit():
            out[-1] = Token(previous.text + token.text, "word")
        elif previous and previous.text in table.ROMAN_AFTER and token.text in table.ROMAN:
            out.append(Token(table.ROMAN[token.text], "number"))
        elif token.text == "m" and previous and previous.text == "a" and at > 1 and tokens[at - 2].kind == "number":
            out[-1] = Token("am", "word")
        elif _spelled(token) and previous and at and _spelled(tokens[at - 1]):
            out[-1] = Token(previous.text + token.text, "word")
        elif token.text == "uhr" and at + 1 < len(tokens) and _minutes(tokens[at + 1]) and _minutes(previous):
            continue
        else:
            out.append(token)
            if token.kind == "number" and at and tokens[at - 1].text == "uhr" and previous and _minutes(token):
                out.append(Token("uhr", "word")) if previous.text != "uhr" else None
    return _drop_levels(out, language)


def _minutes(token: Token | None) -> bool:
    return token is not None and token.kind == "number" and token.text.isdigit() and int(token.text) < 60


def _spelled(token: Token) -> bool:
    return token.kind == "word" and len(token.text) == 1 and token.text.isalpha() and token.text not in ("a", "x")


def _drop_levels(tokens: list[Token], language: str) -> list[Token]:
    """Drop slashes between words (L5/S1, and/or), the ":00" of full hours, and fillers."""
    out: list[Token] = []
    for at, token in enumerate(tokens):
        previous, following = (out[-1] if out else None), (tokens[at + 1] if at + 1 < len(tokens) else None)
        if token.text == "/" and (previous is None or previous.kind == "word" or following is None):
            continue
        if token.text == "00" and following and following.text in ("am", "pm", "uhr"):
            continue
        if token.text in ("²", "°") or token.text in table.FILLERS[language]:
            continue
        out.append(token)
    return out


_STEPS: tuple[Callable[[list[Token], str], list[Token]], ...] = (
    _read_numbers,
    _read_dates,
    _read_between,
    _read_signs,
    _read_comparisons,
    _read_units,
    _read_names,
)
