"""`medstt transcribe`: recordings to text on the terminal or to files in a folder.

Owns the arguments and what is shown while it runs. Knows nothing of decoding or of how results are made durable.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medstt.cli.app import EXIT_FAILED, EXIT_STOPPED

if TYPE_CHECKING:
    from medstt.batch import Outcome, Recording, WriteOptions
    from medstt.batch.folder import OutputFolder
    from medstt.listen import Vocabulary
    from medstt.transcriber import Transcriber

app = typer.Typer(add_completion=False)

STDIN = "-"


@app.command()
def transcribe(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, glob patterns; - is standard input.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results; without it text goes to stdout.")
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="One or more of txt,json,srt,vtt, with commas.")] = "txt",
    model: Annotated[
        str | None, typer.Option("--model", help="Model name, NAME@VERSION, NAME:ALIAS, folder or hub id.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="en, de, or auto to detect it.")] = "auto",
    verbatim: Annotated[bool, typer.Option("--verbatim", help="Write the words as heard, without formatting.")] = False,
    template: Annotated[
        str | None, typer.Option("--template", help="Put the report's sections in a template's order.")
    ] = None,
    vocabulary: Annotated[
        list[str] | None,
        typer.Option("--vocabulary", help="List, table or folder of names to listen for; repeat. none: no names."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Single-threaded engines at work; 0 is one per core.")] = 0,
) -> None:
    """Turn recordings into text, offline.

    With --out, a second run skips what is done and continues after an interruption. A recording that fails does not
    stop the others; it is named at the end with its reason, and the exit code is 1.
    """
    from medstt.batch import WriteOptions, find_recordings
    from medstt.export import check_formats
    from medstt.listen import parse_vocabulary

    chosen = check_formats([item.strip() for item in formats.split(",") if item.strip()])
    options = WriteOptions(chosen, verbatim, check_template(template, verbatim, check_language(language)))
    opener = partial(open_model, model, check_language(language), vocabulary=parse_vocabulary(vocabulary or []))
    workers = jobs or usable_cores()
    with contextlib.ExitStack() as stack:
        recordings, errors = find_recordings([path for path in paths if path != STDIN])
        if STDIN in paths:
            recordings.append(stack.enter_context(_spooled_input()))
        problems = [str(error) for error in errors]
        folder = None
        if out is None:
            _check_terminal_output(options, len(recordings))
        else:
            from medstt.batch.folder import OutputFolder

            folder = stack.enter_context(OutputFolder(out))
        found, stopped = _run(recordings, opener, options, folder, workers)
    for problem in problems + found:
        print(f"medstt: {problem}", file=sys.stderr)
    if stopped:
        raise typer.Exit(EXIT_STOPPED)
    if problems or found:
        raise typer.Exit(EXIT_FAILED)


def check_language(language: str) -> str | None:
    """Return the language, None for auto; raises OptionError for one that is not offered."""
    from medstt.errors import OptionError
    from medstt.values import LANGUAGES

    if language == "auto":
        return None
    if language not in LANGUAGES:
        raise OptionError(f"The language {language!r} is not known", f"Use {', '.join(LANGUAGES)} or auto")
    return language


def check_template(template: str | None, verbatim: bool, language: str | None) -> str | None:
    """Return the template; raises OptionError where no language in question has it, or verbatim words are wanted."""
    from medstt.errors import OptionError
    from medstt.text import open_formatter
    from medstt.values import LANGUAGES

    if template is None:
        return None
    if verbatim:
        raise OptionError("--template has no effect on verbatim words", "Leave out --template or --verbatim")
    unknown: list[OptionError] = []
    for candidate in (language,) if language else LANGUAGES:
        try:
            open_formatter(candidate).book.template(template)
        except OptionError as error:
            unknown.append(error)
        else:
            return template
    raise unknown[0]


def open_model(model: str | None, language: str | None, replicas: int, vocabulary: Vocabulary = None) -> Transcriber:
    """Open a transcriber from the settings of this process (a worker process calls this as well)."""
    from medstt.service import open_transcriber, read_settings

    return open_transcriber(read_settings(), model=model, language=language, replicas=replicas, vocabulary=vocabulary)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _spooled_input() -> Iterator[Recording]:
    """Copy standard input to a temporary file and yield it as a recording."""
    from medstt.batch import Recording

    with tempfile.TemporaryDirectory(prefix="medstt-") as folder:
        spool = Path(folder) / "stdin"
        with spool.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        yield Recording(spool, "standard input", Path("stdin"), STDIN)


def _check_terminal_output(options: WriteOptions, count: int) -> None:
    from medstt.errors import OptionError

    if len(options.formats) > 1:
        raise OptionError("Several formats cannot all go to the terminal", "Name a folder with --out")
    if count > 1 and options.formats[0] not in ("txt", "json"):
        raise OptionError(f"Several recordings as {options.formats[0]} need files", "Name a folder with --out")


def _run(
    recordings: Sequence[Recording],
    opener: partial[Transcriber],
    options: WriteOptions,
    folder: OutputFolder | None,
    workers: int,
) -> tuple[list[str], bool]:
    """Run the batch and show it; return one line per problem, and whether Ctrl-C stopped it."""
    from medstt.batch import Progress, run_batch
    from medstt.cli.progress import BatchDisplay
    from medstt.errors import ResourceError

    problems: list[str] = []
    stopped = False
    printer = _Printer(options.formats[0], len(recordings)) if folder is None else None
    events = run_batch(recordings, opener, options, folder, workers)
    with BatchDisplay(recordings) as display, contextlib.closing(events), _interrupts() as interrupted:
        try:
            for event in events:
                if interrupted.is_set():
                    raise KeyboardInterrupt
                if isinstance(event, Progress):
                    display.advance(event)
                    continue
                display.finish(event)
                if event.error:
                    problems.append(event.error)
                if printer is not None:
                    printer.take(event)
        except ResourceError as error:
            problems.append(str(error))
        except KeyboardInterrupt:
            stopped = True
            problems.append("Stopped. Run the same command again to continue" if folder else "Stopped")
    if folder is not None or len(recordings) > 1:
        display.summarise()
    return problems, stopped


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Yield what Ctrl-C sets besides raising KeyboardInterrupt, which Python drops inside a destructor or callback."""
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    # Not where somebody ignores it, as nohup does, or handles it, or where Python lets nobody.
    ours = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()

    def interrupt(*_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


class _Printer:
    """Writes results to stdout in the order of the recordings, however they come in."""

    def __init__(self, format_name: str, count: int) -> None:
        self._format = format_name
        self._several = count > 1
        self._waiting: dict[int, Outcome] = {}
        self._next = 0

    def take(self, outcome: Outcome) -> None:
        """Print this outcome, and those that waited for it, once its turn has come."""
        self._waiting[outcome.number] = outcome
        while self._next in self._waiting:
            self._print(self._waiting.pop(self._next))
            self._next += 1

    def _print(self, outcome: Outcome) -> None:
        for warning in outcome.warnings:
            print(f"medstt: {outcome.recording.label}: {warning}", file=sys.stderr)
        content = outcome.contents.get(self._format)
        if content is None:
            return
        if self._several and self._format == "json":
            import json

            content = (json.dumps(json.loads(content), ensure_ascii=False) + "\n").encode()
        elif self._several:
            content = f"# {outcome.recording.label}\n".encode() + content
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
