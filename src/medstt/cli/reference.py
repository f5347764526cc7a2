"""The reference of all commands as Markdown, made from the commands themselves: `docs/cli.md`.

`python -m medstt.cli.reference > docs/cli.md` writes it. Knows nothing of what the commands do.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import typer

from medstt.cli.app import COMMANDS

HEAD = """# The command line

Made by `python -m medstt.cli.reference > docs/cli.md`; do not edit by hand.
"""


def describe_commands() -> str:
    """Return the Markdown of every command in the table, groups with their own commands."""
    parts = [HEAD]
    for name, (module, summary) in COMMANDS.items():
        command = typer.main.get_command(importlib.import_module(module).app)
        below = getattr(command, "commands", None)
        if below is None:
            parts.append(_describe(f"medstt {name}", command, "##", summary))
            continue
        parts.append(f"## medstt {name}\n\n{summary}\n")
        parts += [_describe(f"medstt {name} {key}", item, "###", "") for key, item in below.items()]
    return "\n".join(parts)


def _describe(title: str, command: Any, level: str, summary: str) -> str:
    context = typer.Context(command, info_name=title)
    usage = " ".join([title, *command.collect_usage_pieces(context)])
    lines = [f"{level} {title}", "", inspect.cleandoc(command.help or summary), "", f"    {usage}", ""]
    records = [item.get_help_record(context) for item in command.params if "completion" not in item.name]
    rows = [f"| `{_cell(record[0])}` | {_cell(record[1])} |" for record in records if record]
    return "\n".join([*lines, "| | |", "|---|---|", *rows, ""] if rows else lines)


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(describe_commands(), end="")
