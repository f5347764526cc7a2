"""Systems outside this process: a command line run once per request, and a folder of transcripts made elsewhere."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medstt.errors import DataError, ModelError, NotFoundError, OptionError
from medstt.evaluate.system import HeardWord, Reply, Request


class CommandSystem:
    """A command line with ``{audio}`` and ``{language}``; its standard output is the text (or JSON with ``text``)."""

    def __init__(self, template: str, timeout_s: float) -> None:
        if "{audio}" not in template:
            raise OptionError(f"the command {template!r} has no {{audio}}", "Write {audio} where the file's path goes")
        self._parts = shlex.split(template)
        self._template = template
        self._timeout_s = timeout_s

    def describe(self) -> Mapping[str, Any]:
        """Return the command line."""
        return {"kind": "command", "name": self._parts[0], "command": self._template}

    def transcribe(self, request: Request) -> Reply:
        """Run the command for one whole file; raises ModelError if it fails, times out or writes no UTF-8."""
        if request.start_ms or request.end_ms is not None:
            raise ModelError(f"{request.key}: a command takes whole files, not a span", "Cut the audio first")
        values = {"{audio}": str(request.audio), "{language}": request.language}
        command = [_fill(part, values) for part in self._parts]
        try:
            done = subprocess.run(command, capture_output=True, timeout=self._timeout_s, check=False)
        except FileNotFoundError as error:
            raise OptionError(f"{command[0]}: no such program", "Check the command") from error
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{request.key}: no answer within {self._timeout_s:.0f} s", "Raise --timeout") from error
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise ModelError(
                f"{request.key}: the command ended with {done.returncode} ({last[0][:200]})", "Run it by hand"
            )
        try:
            return parse_reply(done.stdout.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ModelError(f"{request.key}: the command wrote no UTF-8", "Make it write UTF-8") from error


def _fill(part: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        part = part.replace(name, value)
    return part


def parse_reply(output: str) -> Reply:
    """Read plain text, or a JSON object with ``text`` or ``verbatim`` and optional ``words``."""
    stripped = output.strip()
    if stripped.startswith("{"):
        try:
            return reply_of(json.loads(stripped))
        except json.JSONDecodeError:
            pass  # text that happens to begin with a brace
    return Reply(stripped)


def reply_of(row: Mapping[str, Any]) -> Reply:
    """Read the JSON of ``medstt transcribe`` (``verbatim``, ``text``, ``words``) or of other tools (``text``)."""
    words = tuple(
        HeardWord(
            str(w.get("text", w.get("word", ""))).strip(), w.get("start_ms"), w.get("end_ms"), w.get("confidence")
        )
        for w in row.get("words") or ()
    )
    verbatim = row.get("verbatim")
    text = verbatim if verbatim is not None else row.get("text", row.get("hypothesis"))
    if not isinstance(text, str):
        raise DataError("a transcript has no text", "Write a `text` or `verbatim` string")
    written = row.get("text") if verbatim is not None else None
    return Reply(text.strip(), words, written, row.get("language"), row.get("duration_ms"))


class TranscriptFolder:
    """Transcripts made elsewhere: ``KEY.txt`` or ``KEY.json`` in a folder, or JSON Lines with ``id`` and ``text``."""

    def __init__(self, source: Path, replies: Mapping[str, Reply], digest: str) -> None:
        self._source = source
        self._replies = replies
        self._digest = digest

    @classmethod
    def open(cls, path: Path) -> TranscriptFolder:
        """Read a folder or a JSON Lines file; raises DataError naming the file (and line) that cannot be read."""
        if path.is_file():
            replies = _read_lines(path)
        elif path.is_dir():
            replies = _read_folder(path)
        else:
            raise NotFoundError(f"{path}: no such folder or file of transcripts", "Check the path")
        content = json.dumps({key: reply.text for key, reply in replies.items()}, sort_keys=True, ensure_ascii=False)
        return cls(path, replies, hashlib.sha256(content.encode()).hexdigest())

    @property
    def keys(self) -> frozenset[str]:
        """The ids that have a transcript."""
        return frozenset(self._replies)

    def mismatch(self, requests: Iterable[Request]) -> str:
        """Say which requests have no transcript and which transcripts nobody asks for; empty if all match.

        Raises DataError if not one matches.
        """
        asked = list(requests)
        found = {request.key: self._name_of(request) for request in asked}
        missing = [key for key, name in found.items() if name is None]
        unasked = sorted(self._replies.keys() - set(found.values()))
        parts = []
        if missing:
            parts.append(f"{len(missing)} of {len(asked)} utterances have no transcript ({_some(missing)})")
        if unasked:
            parts.append(f"{len(unasked)} of {len(self._replies)} transcripts have no utterance ({_some(unasked)})")
        if asked and len(missing) == len(asked):
            raise DataError("; ".join(parts), "Name transcripts after the ids of the manifest or after its audio files")
        return "; ".join(parts)

    def _name_of(self, request: Request) -> str | None:
        names = (request.key, request.key.partition(":")[2], request.audio.stem)
        return next((name for name in names if name and name in self._replies), None)

    def describe(self) -> Mapping[str, Any]:
        """Return the folder's name and the digest of its texts."""
        return {"kind": "transcripts", "name": self._source.name, "digest": self._digest}

    def transcribe(self, request: Request) -> Reply:
        """Return the transcript of a request by its key, its id or its audio file's stem."""
        name = self._name_of(request)
        if name is not None:
            return self._replies[name]
        raise ModelError(
            f"{request.key}: no transcript of that id", f"Add {request.audio.stem}.txt or leave the id out"
        )


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 (byte {error.start})", "Save the transcript as UTF-8") from error


def _read_folder(folder: Path) -> dict[str, Reply]:
    replies: dict[str, Reply] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".txt", ".json") or path.name == "result.json":
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in replies:
            raise DataError(f"{path.name}: a second transcript of {name!r}", "Keep one file per recording")
        text = _read_text(path)
        try:
            replies[name] = reply_of(json.loads(text)) if path.suffix == ".json" else Reply(text.strip())
        except (json.JSONDecodeError, AttributeError) as error:
            raise DataError(f"{path.name}: not a JSON object", "Write an object with a `text` string") from error
    if not replies:
        raise DataError(f"{folder}: no .txt or .json transcript", "Name them after the ids of the manifest")
    return replies


def _read_lines(path: Path) -> dict[str, Reply]:
    replies: dict[str, Reply] = {}
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            row = json.loads(line)
            key = str(row["id"] if "id" in row else row["key"])
            reply = reply_of(row)
        except (json.JSONDecodeError, KeyError, TypeError, DataError) as error:
            raise DataError(
                f"{where}: not a transcript ({error})", "Write an object with `id` and `text` a line"
            ) from error
        if key in replies:
            raise DataError(f"{where}: the id {key!r} occurs twice", "Keep one transcript per id")
        replies[key] = reply
    return replies
