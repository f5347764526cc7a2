"""The `medstt` program: a table of commands, each imported only when it is called, and the exit codes.

Owns how errors look on a terminal. Knows nothing of what the commands do.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from medstt.errors import MedsttError

# name -> (module that defines `app`, one-line help). A plain `run` command or a group, both as typer.Typer.
COMMANDS: dict[str, tuple[str, str]] = {
    "transcribe": ("medstt.cli.transcribe", "Turn recordings into text, offline."),
    "format": ("medstt.cli.format", "Turn dictated words into a written report."),
    "evaluate": ("medstt.cli.evaluate", "Measure a system on a manifest or on benchmarks."),
    "vocab": ("medstt.cli.vocab", "Import, check, search, compare and export vocabulary."),
    "bias": ("medstt.cli.bias", "Tune and measure how names are listened for."),
    "synth": ("medstt.cli.synth", "Make speech for training from the lexicon, grammars and texts."),
    "data": ("medstt.cli.data", "Check, import and split recordings of your own."),
    "train": ("medstt.cli.train", "Train or fine-tune by a recipe, export and register."),
    "tune": ("medstt.cli.tune", "Search a recipe's best settings within a declared space."),
    "prove": ("medstt.cli.prove", "Prove what fine-tuning gains and costs, method by method."),
    "serve": ("medstt.cli.serve", "Serve the REST API and the page."),
    "worker": ("medstt.cli.worker", "Work on dictations in a process of its own."),
    "keys": ("medstt.cli.keys", "Issue, rotate and revoke API keys; rotate the settings key."),
    "audit": ("medstt.cli.audit", "Check the audit of who saw, changed and signed what."),
    "compare": ("medstt.cli.compare", "What one evaluated run gained and cost against another."),
    "gate": ("medstt.cli.gate", "Decide whether a model version may be promoted."),
    "report": ("medstt.cli.report", "Write one HTML file of an evaluated run."),
    "leaderboard": ("medstt.cli.leaderboard", "The table of systems by benchmark, from evaluated runs."),
    "models": ("medstt.cli.models", "List, inspect, verify, promote and roll back model versions."),
    "benchmark": ("medstt.cli.benchmark", "Measure speed and memory against other programs."),
    "peers": ("medstt.cli.peers", "One model through other programs: the same words are expected."),
    "demo": ("medstt.cli.demo", "Transcribe the sample dictations and compare them with their references."),
}

EXIT_FAILED = 1  # the work was understood and failed
EXIT_USAGE = 2  # the command line's own code for wrong options
EXIT_STOPPED = 130  # Ctrl-C

# New objects after which Python looks for garbage. Those of a start stay; its own 700 cost a start 6 % of its CPU time.
GARBAGE_EVERY = 20_000

# No telemetry, no network call that was not configured, no plugin of a stranger: set before any library reads them.
QUIET_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # looking for one costs a tenth of a start
    "TOKENIZERS_PARALLELISM": "false",
}


class LazyGroup(TyperGroup):
    """A command group that reads names and help from ``COMMANDS`` and imports a command when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the command names in table order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        """Import and return one command; None if there is no such name."""
        if name not in COMMANDS:
            return None
        module, help_text = COMMANDS[name]
        if ctx.resilient_parsing:
            return TyperCommand(name, help=help_text)
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name = name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the command table without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False
)


@app.callback()
def root() -> None:
    """Speech to text for medical dictation: vocabulary, fine-tuning, benchmarks, serving."""


def main() -> None:
    """Run the program; errors of the exception tree become one line on stderr and exit code 1."""
    for key, value in QUIET_ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    gc.set_threshold(GARBAGE_EVERY)
    try:
        app()
    except MedsttError as error:
        print(f"medstt: {error}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_STOPPED)
    except BrokenPipeError:  # the reader of our output has gone; nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
