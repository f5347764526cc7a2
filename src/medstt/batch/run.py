"""Run tasks, in this process or over a crew of others, and settle what comes of them.

Knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from medstt.batch.inputs import Recording, name_outputs
from medstt.batch.work import OpenTranscriber, Progress, Rendered, Results, Task, WriteOptions, do_task
from medstt.errors import MedsttError, ResourceError

if TYPE_CHECKING:
    from medstt.batch.folder import OutputFolder

SHORT_BYTES = 1 << 18  # 8 s as wav, a minute and a half as opus


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a recording ended. ``contents`` are the rendered formats, ``error`` one line that names the recording."""

    number: int
    recording: Recording
    status: Literal["done", "skipped", "failed"]
    audio_ms: int = 0
    contents: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""


def run_batch(
    recordings: Sequence[Recording],
    open_transcriber: OpenTranscriber,
    options: WriteOptions,
    folder: OutputFolder | None = None,
    jobs: int = 1,
) -> Generator[Progress | Outcome]:
    """Yield progress and one outcome per recording, in the order they end; results are committed to ``folder``.

    Raises ResourceError where the disk stays full, and ModelError where the model cannot be loaded.
    """
    names = name_outputs(recordings, folder.names if folder else {})
    tasks = [Task(i, item.path, item.label, names[item]) for i, item in enumerate(recordings)]
    done = folder.done(options.formats) if folder else frozenset()
    workers = min(jobs, len(tasks))
    if workers <= 1:
        results = _run_here(tasks, open_transcriber, options, done, jobs)
    else:
        from medstt.batch.crew import run_apart  # with what starts processes: not for a single recording

        results = run_apart(tasks, open_transcriber, options, done, workers)
    try:
        for result in results:
            if isinstance(result, Progress):
                yield result
                continue
            outcome = _settle(result, recordings[result.task.number], folder)
            yield outcome
            if outcome.status == "failed" and folder is not None and not folder.has_room():
                raise ResourceError(f"{folder.path}: the disk is full", "Free some space and run again")
    finally:
        results.close()


def _settle(result: Rendered, recording: Recording, folder: OutputFolder | None) -> Outcome:
    number = result.task.number
    if result.error:
        return Outcome(number, recording, "failed", error=result.error)
    if result.skipped:
        return Outcome(number, recording, "skipped")
    if folder is not None:
        try:
            folder.commit(result.key, recording.source, result.task.name, result.contents, result.audio_ms)
        except MedsttError as error:
            return Outcome(number, recording, "failed", error=f"{recording.label}: {error}")
    return Outcome(number, recording, "done", result.audio_ms, result.contents, result.warnings)


def _run_here(
    tasks: Sequence[Task], open_transcriber: OpenTranscriber, options: WriteOptions, done: frozenset[str], jobs: int
) -> Results:
    if tasks:
        transcriber = open_transcriber(1 if _is_short(tasks) else jobs)
        for task in tasks:
            yield from do_task(transcriber, task, options, done)


def _is_short(tasks: Sequence[Task]) -> bool:
    """Tell whether loading more than one engine would take longer than it saves."""
    try:
        return len(tasks) == 1 and tasks[0].path.stat().st_size < SHORT_BYTES
    except OSError:
        return True
