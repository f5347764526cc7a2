"""What the Markdown files tell a reader to type exists and works: commands, options, links, the README's examples."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from medstt.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "vocab/*.md",
        "training/*.md",
        "training/results/*.md",
        "serving/*.md",
        "src/medstt/*/*.md",
    )
    for path in ROOT.glob(pattern)
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
# These set up an environment from the package index first: continuous integration runs scripts/test itself, and what
# scripts/demo ends with is run below.
SETS_UP = "sh scripts/"
SLOW = ("samples --out", "evaluate", "demo")  # commands that transcribe every sample


def code_lines(text: str) -> Iterator[str]:
    """Yield each command line of fenced and indented blocks (continued lines joined), then inline code."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    fenced = [block for language, block in blocks if language in ("", "sh")]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (line.strip() for block in fenced for line in block.splitlines())
    yield from (line.strip() for line in outside.splitlines() if line.startswith("    "))
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", outside))


def program_calls(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of the program, pipes and substitutions taken apart."""
    for line in code_lines(text):
        for part in re.split(r"[|;]|\$\(", line):
            words = part.strip().removeprefix(".venv/bin/")
            if words.startswith("medstt "):
                try:
                    yield shlex.split(words, comments=True)[1:]
                except ValueError:  # a quotation that ends on another line
                    yield words.split()[1:]


def find_command(arguments: list[str]) -> tuple[str, Any]:
    """Return name and command object that the arguments name; raises KeyError."""
    name = arguments[0]
    command = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
    if hasattr(command, "commands") and len(arguments) > 1 and not arguments[1].startswith("-"):
        return f"{name} {arguments[1]}", command.commands[arguments[1]]
    return name, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    for arguments in program_calls(page.read_text(encoding="utf-8")):
        if arguments[0].startswith("--"):
            continue  # medstt --help
        try:
            name, command = find_command(arguments)
        except KeyError:
            pytest.fail(f"{page.name} names `medstt {' '.join(arguments)}`, which does not exist")
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for word in arguments:
            option = word.partition("=")[0]
            if option.startswith("--") and len(option) > 2:
                assert option in known | {"--help"}, f"{page.name}: medstt {name} has no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_pages_name_commands_enough_for_these_tests_to_mean_something() -> None:
    assert sum(len(list(program_calls(page.read_text(encoding="utf-8")))) for page in PAGES) > 60


def readme_commands() -> list[Any]:
    """Return the README's indented commands, those that take long marked for the slow tier."""
    lines = [line.strip() for line in README.splitlines() if line.startswith("    ") and not line.startswith("     ")]
    commands = [line for line in lines if not line.startswith(SETS_UP)]
    return [
        pytest.param(line, marks=[pytest.mark.slow] if any(part in line for part in SLOW) else []) for line in commands
    ]


@pytest.fixture
def clone(tmp_path: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a clone in which scripts/demo has run, with a home of its own."""
    for name in ("samples", "training", "vocab"):
        (tmp_path / name).symlink_to(ROOT / name)
    program = tmp_path / ".venv" / "bin" / "medstt"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m medstt "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("MEDSTT_HOME", str(shared_home))
    return tmp_path


def run(command: list[str], clone: Path) -> str:
    result = subprocess.run(command, cwd=clone, env={**os.environ}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_readme_has_commands_to_run() -> None:
    assert len(readme_commands()) >= 6


@pytest.mark.parametrize("command", readme_commands())
def test_commands_of_the_readme_run_as_they_stand(command: str, clone: Path) -> None:
    out = run(["sh", "-c", command], clone)
    assert out or any((clone / "transcripts").iterdir())


def test_python_of_the_readme_runs_as_it_stands(clone: Path) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert snippets
    for snippet in snippets:
        run([sys.executable, "-c", snippet], clone)


@pytest.mark.skipif(shutil.which("sh") is None, reason="a POSIX shell runs the scripts")
def test_scripts_that_the_readme_names_are_there_and_well_formed() -> None:
    named = re.findall(rf"^    {SETS_UP}(\w+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(named)
    for name in named:
        subprocess.run(["sh", "-n", str(ROOT / "scripts" / name)], check=True)


@pytest.mark.slow
def test_what_the_demo_script_ends_with_runs(clone: Path) -> None:
    command = (ROOT / "scripts" / "demo").read_text().splitlines()[-1].removeprefix("exec ")
    assert "x real time" in run(["sh", "-c", command], clone)
