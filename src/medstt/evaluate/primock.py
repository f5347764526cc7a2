"""PriMock57's transcripts: Praat TextGrid files, one per speaker of a consultation, as utterances.

Layout of the public set: ``transcripts/day1_consultation01_doctor.TextGrid`` beside ``audio/..._doctor.wav``. Marks
such as ``<UNSURE>...</UNSURE>``, ``<UNIN/>`` and ``<INAUDIBLE_SPEECH/>`` stand in the text. Knows nothing of scoring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from medstt.errors import DataError
from medstt.values import Utterance

_INTERVAL = re.compile(
    r"intervals \[(\d+)\]:?\s*xmin = ([\d.]+)\s*xmax = ([\d.]+)\s*text = \"((?:[^\"]|\"\")*)\"", re.DOTALL
)
_UNUSABLE = re.compile(r"<(UNIN|INAUDIBLE_SPEECH)/?>")
_MARK = re.compile(r"</?[A-Z_]+/?>")
_NAME = re.compile(r"(.+)_(doctor|patient)")


def parse_textgrid(text: str, where: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start_ms, end_ms, text) of each interval with text; raises DataError if it is no long TextGrid."""
    if '"TextGrid"' not in text or "intervals [" not in text:
        raise DataError(f"{where}: not a TextGrid in long form", "Save it from Praat as a text file (long)")
    for match in _INTERVAL.finditer(text):
        words = match.group(4).replace('""', '"').strip()
        if words:
            yield round(float(match.group(2)) * 1000), round(float(match.group(3)) * 1000), words


def read_primock(folder: Path) -> list[Utterance]:
    """Return the utterances of a PriMock57 folder; intervals with unintelligible speech are left out.

    Audio paths are relative to the folder. Raises DataError naming the file.
    """
    utterances = []
    for path in sorted((folder / "transcripts").glob("*.TextGrid")):
        name = _NAME.fullmatch(path.stem)
        if name is None:
            raise DataError(f"{path.name}: not day.._consultation.._doctor or _patient", "Keep the set's file names")
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name}: not UTF-8 (byte {error.start})", "Save it as UTF-8") from error
        for number, (start, end, text) in enumerate(parse_textgrid(content, path.name), 1):
            words = " ".join(_MARK.sub(" ", text).split())
            if not _UNUSABLE.search(text) and words and end > start:
                utterances.append(
                    Utterance(f"{path.stem}-{number:04d}", f"audio/{path.stem}.wav", words, "en", start, end,
                              speaker=path.stem, split="test", tags={"tier": "conversation", "role": name.group(2)})
                )  # fmt: skip
    if not utterances:
        raise DataError(f"{folder}: no transcripts/*.TextGrid with text", "Give the folder of the cloned set")
    return utterances
