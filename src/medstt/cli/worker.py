"""`medstt worker`: a process that only works through the queue. Knows nothing of requests."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="TOML file; without it HOME/medstt.toml if there is one.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Threads that work on dictations.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model that transcribes.")] = None,
) -> None:
    """Work on dictations until SIGTERM; those in hand are finished or given back."""
    from medstt.service import open_service, read_settings

    service = open_service(read_settings(settings_file, workers=workers, model=model))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        service.start()
        service.log.event("working")
        stopped.wait()
    finally:
        service.close()
