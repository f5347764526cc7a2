"""Text files of the user's own as sentences to speak: cleaned, truecased, punctuation spoken now and then.

Knows nothing of grammars, voices or audio.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from medstt.errors import DataError
from medstt.synth.grammar import Sentence
from medstt.values import Language

WORD = re.compile(r"[A-Za-zÄÖÜäöüß]+(?:['’-][A-Za-zÄÖÜäöüß]+)*")
FIRST_WORD = re.compile(rf"(^|[.?!:] )({WORD.pattern})")
ALLOWED = re.compile(r"^[A-Za-zÄÖÜäöüß '’.,;:!?-]+$")
ENDS = {".": "period", "?": "question mark", "!": "exclamation mark", ",": "comma", ":": "colon", ";": "semicolon"}
SPOKEN_MARKS: dict[Language, dict[str, str]] = {
    "en": ENDS,
    "de": {
        ".": "Punkt",
        "?": "Fragezeichen",
        "!": "Ausrufezeichen",
        ",": "Komma",
        ":": "Doppelpunkt",
        ";": "Semikolon",
    },
}
MAX_NAME_WORDS = 4
MIN_STEM = 7  # letters from which a name at the start of a longer word counts as that name
ENGLISH_I = {"I", "I'm", "I've", "I'll", "I'd"}


class Truecaser:
    """Writes the first word of a sentence as it is written within sentences (German nouns keep their capital)."""

    def __init__(self, lines: Iterable[str], lang: Language) -> None:
        self._lang = lang
        self._inside: Counter[str] = Counter()
        for line in lines:
            self._inside.update(match[0] for match in list(WORD.finditer(line))[1:])

    def first(self, word: str) -> str:
        """Return the word in the case it has inside sentences; an unknown German word is most likely a noun."""
        lower = word[0].lower() + word[1:]
        if word in ENGLISH_I or self._inside[word] > self._inside[lower]:
            return word
        return word if self._lang == "de" and not self._inside[lower] else lower


def read_lines(paths: Iterable[Path]) -> list[str]:
    """Return the non-empty lines of UTF-8 text files; raises DataError naming the file."""
    lines: list[str] = []
    for path in paths:
        try:
            lines += [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {error}", "Give UTF-8 text files, one sentence a line") from error
    return lines


def names_any(words: Sequence[str], names: frozenset[str]) -> bool:
    """Tell whether lower-case ``words`` hold one of ``names`` (of up to four words), inflected or in a compound too."""
    for start, word in enumerate(words):
        if any(" ".join(words[start : start + count]) in names for count in range(1, MAX_NAME_WORDS + 1)):
            return True
        # "Bisoprololtherapie", "ibuprofens": a long name at the start of a word is meant.
        if any(word[:length] in names for length in range(MIN_STEM, len(word))):
            return True
    return False


def read_sentences(
    lines: Iterable[str], lang: Language, *, forbidden: frozenset[str], max_words: int, spoken_marks: float, seed: int
) -> Iterator[Sentence]:
    """Yield the usable sentences of ``lines``, in order.

    Lines with digits, brackets or other signs, with a ``forbidden`` name (lower case: drugs held out of training) or
    of more than ``max_words`` words are left out; a share ``spoken_marks`` has its punctuation dictated.
    """
    lines = [re.sub(r"^\W+|[\"“”„«»]", "", line.replace("’", "'")) for line in lines]
    truecaser = Truecaser(lines, lang)
    rng = random.Random(seed)
    seen: set[str] = set()
    for line in lines:
        if not ALLOWED.match(line) or re.search(r"\b[A-ZÄÖÜ]{2,}\b|\.\S|\s-\s", line):
            continue
        words = [match[0] for match in WORD.finditer(line)]
        if not 2 <= len(words) <= max_words or names_any([word.lower() for word in words], forbidden):
            continue
        line = FIRST_WORD.sub(lambda start: start[1] + truecaser.first(start[2]), line)
        marks = SPOKEN_MARKS[lang] if rng.random() < spoken_marks else dict.fromkeys(ENDS, "")
        text = _say_marks(line, marks)
        if text in seen:
            continue
        seen.add(text)
        # Said words need no punctuation to be read as words; unsaid marks give the voice its pauses.
        speech = text if any(marks.values()) else line
        yield Sentence(text, speech, lang, (), "text")


def _say_marks(line: str, marks: Mapping[str, str]) -> str:
    """Return ``line`` with its punctuation replaced by what is said for it."""
    return " ".join(re.sub(r"[.,;:!?]+", lambda mark: f" {marks[mark[0][0]]} ", line).split())
