"""`medstt gate`: may this version be promoted? Evaluates it and the champion, decides, records the verdict."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medstt.cli.evaluate import Task
    from medstt.evaluate.system import System
    from medstt.lifecycle.gate import Decision, Evidence

app = typer.Typer(add_completion=False)


@app.command()
def gate(
    challenger: Annotated[str, typer.Argument(help="The version that wants to be promoted: NAME@VERSION.")],
    champion: Annotated[
        str | None, typer.Option("--champion", help="Compare with this; the name's champion if not given, or none.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The gate's file.")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="NAME=FILE: a set a benchmark leaves open.")] = None,
    texts: Annotated[Path | None, typer.Option("--texts", help="Folder of texts that recipes name.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Requests at a time; a model gets as many processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Decide whether a version may be promoted, and write the verdict with its reasons into its card.

    Exit code 0: it may. 1: it may not, or evidence is missing. Evaluations that were done are not done again.
    """
    from medstt.cli.evaluate import given_sets, opened_systems
    from medstt.evaluate.system import SystemOptions
    from medstt.lifecycle.gate import decide, read_gate
    from medstt.service import Settings

    settings = Settings()
    rules, identity = read_gate(config or builtin_gate())
    against = _champion_of(challenger, settings.home) if champion is None else None if champion == "none" else champion
    given = given_sets(sets or [])
    evidence = {}
    named = [challenger] if against is None else [challenger, against]
    with opened_systems(named, SystemOptions(home=settings.home), jobs) as systems:
        for benchmark in rules.benchmarks:
            task = _open_task(benchmark, settings.home, given, texts, rules.is_optional(benchmark))
            if task is not None:
                evidence[benchmark] = _gather(task, challenger, against, systems, settings.home, jobs)
    decision = decide(rules, evidence)
    recorded = _record(challenger, against, decision, identity, settings.home)
    if as_json:
        print(json.dumps({"passed": decision.passed, "against": against, **asdict(decision)}, indent=1))
    else:
        _show(challenger, against, decision, recorded)
    if not decision.passed:
        raise typer.Exit(1)


def builtin_gate() -> Path:
    """Return the gate's file that comes with the checkout or the package."""
    from medstt.evaluate.benchmark import builtin_benchmark_folder

    return builtin_benchmark_folder().parent / "gate.toml"


def _champion_of(challenger: str, home: Path) -> str | None:
    from medstt.registry.store import ModelStore

    name, mark, version = challenger.partition("@")
    store = ModelStore(home / "models")
    if not mark or name not in store.names():
        return None
    champion = store.aliases(name).get("champion")
    return f"{name}@{champion}" if champion and champion != version else None


def _open_task(benchmark: str, home: Path, given: dict[str, Path], texts: Path | None, optional: bool) -> Task | None:
    """Return a benchmark's utterances; None where an optional benchmark has no set."""
    from medstt.cli.evaluate import benchmark_task
    from medstt.errors import DataError

    try:
        return benchmark_task(benchmark, home, given, texts)
    except DataError:
        if optional and not given:
            return None
        raise


def _gather(
    task: Task, challenger: str, champion: str | None, systems: Mapping[str, System], home: Path, jobs: int
) -> Evidence:
    """Evaluate both on one benchmark, as far as that is not done."""
    from medstt.cli.evaluate import evaluate_task
    from medstt.evaluate.compare import compare_runs
    from medstt.evaluate.summary import read_summary
    from medstt.lifecycle.gate import Evidence

    new = evaluate_task(task, challenger, systems[challenger], home, jobs)
    if champion is None:
        return Evidence(read_summary(new))
    old = evaluate_task(task, champion, systems[champion], home, jobs)
    return Evidence(read_summary(new), read_summary(old), compare_runs(old, new))


def _record(challenger: str, against: str | None, decision: Decision, identity: str, home: Path) -> bool:
    """Write the verdict to the version's card; False if the challenger is no registered version."""
    from datetime import UTC, datetime

    from medstt.registry.card import Verdict
    from medstt.registry.store import ModelStore

    name, mark, version = challenger.partition("@")
    store = ModelStore(home / "models")
    if not mark or name not in store.names() or version not in store.versions(name):
        return False
    verdict = Verdict(
        decision.passed, store.verify(name, version), datetime.now(UTC).isoformat(timespec="seconds"), against,
        decision.reasons, identity,
    )  # fmt: skip
    store.record_verdict(name, version, verdict)
    return True


def _show(challenger: str, against: str | None, decision: Decision, recorded: bool) -> None:
    print(f"{challenger}: {'PASSED' if decision.passed else 'REFUSED'}" + (f" against {against}" if against else ""))
    for check in sorted(decision.checks, key=lambda check: check.passed):
        print(f"  {'ok    ' if check.passed else 'REFUSE'}  {check.reason}")
    if not recorded:
        print("medstt: not a registered NAME@VERSION, so no card holds this verdict", file=sys.stderr)
