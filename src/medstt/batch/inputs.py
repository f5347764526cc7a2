"""Which recordings are meant: files, folders, glob patterns; and which output name each one gets.

Knows nothing of what is inside a recording.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import InputError

# Recorders' .dss and .ds2 are listed so that they are named as unsupported and not passed over in silence.
SUFFIXES = frozenset(
    ".3gp .aac .aif .aiff .amr .au .caf .ds2 .dss .flac .gsm .m4a .m4b .mka .mkv .mov .mp3 .mp4 .mpga .oga .ogg .opus "
    ".ra .wav .wave .weba .webm .wma .wmv".split()
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording: its path, the label for messages, where it lies below the folder that was named, its identity."""

    path: Path
    label: str
    place: Path
    source: str


def find_recordings(arguments: Sequence[str]) -> tuple[list[Recording], list[InputError]]:
    """Return the recordings meant, each once, in order; and one error for each argument that means none.

    A folder stands for all recordings below it (by suffix, hidden ones left out). A path that does not exist is
    returned as a recording, so that its failure is reported like any other.
    """
    found: dict[str, Recording] = {}
    errors: list[InputError] = []
    for argument in arguments:
        recordings = list(_expand(argument))
        if not recordings:
            kind = "holds no recording" if os.path.isdir(argument) else "matches no file"
            errors.append(InputError(f"{argument}: {kind}", f"Known suffixes: {' '.join(sorted(SUFFIXES))}"))
        for recording in recordings:
            found.setdefault(recording.source, recording)
    return list(found.values()), errors


def _expand(argument: str) -> Iterator[Recording]:
    path = Path(argument)
    if os.path.isdir(path):  # unlike Path.is_dir, it does not raise where the folder above may not be entered
        yield from _below(path)
    elif os.path.exists(path) or not glob.has_magic(argument):
        yield _recording(path)
    else:
        for match in sorted(glob.glob(argument, recursive=True)):
            if os.path.isdir(match):
                yield from _below(Path(match))
            else:
                yield _recording(Path(match))


def _below(folder: Path) -> Iterator[Recording]:
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in place.parts)
        if path.suffix.lower() in SUFFIXES and not hidden and os.path.isfile(path):
            yield _recording(path, place)


def _recording(path: Path, place: Path | None = None) -> Recording:
    real = os.path.realpath(path)  # Path.resolve raises for a link to itself
    return Recording(path, _printable(path), place or Path(path.name), real)


def _printable(path: Path) -> str:
    """Return a path for one line of a message: bytes that are no UTF-8 and control characters are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def name_outputs(recordings: Iterable[Recording], known: Mapping[str, str]) -> dict[Recording, str]:
    """Return the output name (below the output folder, without suffix) of each recording; no two are alike.

    It is the recording's name without its suffix; with it (``a.wav``) where two recordings would share a name, and
    with a number where even that is taken. ``known`` maps names already given to the recording that has them, which
    keeps names the same from run to run.
    """
    recordings = list(recordings)
    owners = {name.casefold(): source for name, source in known.items()}
    given = {source: name for name, source in known.items()}
    wanted = Counter(recording.place.with_suffix("").as_posix().casefold() for recording in recordings)
    names: dict[Recording, str] = {}
    for recording in recordings:
        source = recording.source
        if source not in given:
            given[source] = next(
                name for name in _candidates(recording, wanted) if owners.get(name.casefold(), source) == source
            )
        owners[given[source].casefold()] = source
        names[recording] = given[source]
    return names


def _candidates(recording: Recording, wanted: Mapping[str, int]) -> Iterator[str]:
    short, full = recording.place.with_suffix("").as_posix(), recording.place.as_posix()
    if wanted[short.casefold()] == 1:
        yield short
    yield full
    number = 2
    while True:
        yield f"{full}-{number}"
        number += 1
