"""Opening the files that importers read: encodings, line by line, with progress.

Owns encoding detection and the one progress callback. Knows nothing of any format's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path

from medstt.errors import VocabError

Progress = Callable[[int, int], None]  # bytes read so far, bytes in all

SAMPLE_BYTES = 1 << 20
GUESSES = ["cp1252", "iso8859_15", "cp850", "mac_roman"]
REPORT_EVERY = 5_000  # lines


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def detect_encoding(path: Path) -> str:
    """Guess a text file's encoding: byte-order mark, then UTF-8, then the Western encodings of old spreadsheets."""
    sample = _read(path, SAMPLE_BYTES)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if sample.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(sample) - 4 or len(sample) < SAMPLE_BYTES:
            from charset_normalizer import from_bytes  # slow to import, and hardly ever needed

            best = from_bytes(sample, cp_isolation=GUESSES).best()
            return best.encoding if best is not None else "cp1252"
    return "utf-8"


def read_lines(path: Path, encoding: str = "", progress: Progress = no_progress) -> Iterator[tuple[int, str]]:
    """Yield (line number, line without its end); an empty encoding is detected.

    Raises VocabError if the file is missing, empty or not in the encoding asked for.
    """
    _read(path, 1)
    chosen = encoding or detect_encoding(path)
    total = path.stat().st_size
    try:
        with path.open("rb") as raw, TextIOWrapper(raw, encoding=chosen, newline="") as stream:
            for number, line in enumerate(stream, start=1):
                if number % REPORT_EVERY == 0:
                    progress(min(total, raw.tell()), total)
                yield number, line.rstrip("\r\n")
    except (UnicodeDecodeError, UnicodeError) as error:
        raise VocabError(
            f"{path} is not in {chosen} ({error})", "Name its encoding, such as --encoding cp1252."
        ) from error
    except LookupError as error:
        raise VocabError(f"{chosen!r} is no known encoding", "Use utf-8, cp1252 or iso8859-15.") from error
    progress(total, total)


def _read(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(size)
    except OSError as error:
        raise VocabError(f"{path} cannot be read ({error.strerror})", "Check the path and its permissions.") from error
    if not head:
        raise VocabError(f"{path} is empty", "Give the file as it was delivered.")
    return head
