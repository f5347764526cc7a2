"""A proof carried out: every method trained and asked on every test, as one document. Resumable; partial at any time.

Knows nothing of how the document is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medstt.disk import write_atomically
from medstt.evaluate.answer import Answer
from medstt.evaluate.environment import describe_environment
from medstt.evaluate.item import Item, digest_items
from medstt.evaluate.lexicon import open_spotter
from medstt.evaluate.replica import ReplicatedSystem, open_side_by_side
from medstt.evaluate.run import Run, create_run, transcribe_run
from medstt.evaluate.system import System, SystemOptions
from medstt.evaluate.table import ScoreTable
from medstt.lifecycle.proof import figure
from medstt.lifecycle.proof.material import OWN, Material, Studio, prepare, stamp, take_part
from medstt.lifecycle.proof.method import Trained, Watch, carry_out, method_recipe
from medstt.lifecycle.proof.plan import Plan, Role
from medstt.manifest import digest_manifest
from medstt.metrics.term import Spotter
from medstt.registry.resolve import ResolvedModel, resolve_model
from medstt.train.run import EXPORT, Places

BASE = "base"
SLICES = ("language", "tier", "voice")
GOAL_TERMS = 0.6  # fewer errors on taught terms than the control, at least
GOAL_GENERAL = (0.005, 0.010)  # points of general WER: the value, and the upper end of its interval
GOAL_EVENTS = 1000  # general utterances for that to count


@dataclass(frozen=True, slots=True)
class Tell:
    """What hears of a proof's progress: a line about each step, what shows a training run, each answer."""

    say: Callable[[str], None] = lambda line: None
    watch: Watch = lambda log, steps: nullcontext()
    answer: Callable[[Answer], None] = lambda answer: None


@dataclass(slots=True)
class Row:
    """One model of the proof: its title, what training took, and its counts on each test that is done."""

    title: str
    name: str
    size: int | None = None  # utterances of own data, of a row of the curve
    trained: Trained | None = None
    tables: dict[str, ScoreTable] = field(default_factory=dict)


def prove(plan: Plan, studio: Studio, home: Path, tell: Tell, only: Collection[str] = ()) -> dict[str, Any]:
    """Carry out a plan, or those of its rows that ``only`` names, and return what is known by then.

    What an earlier call has done is not done again. Raises DataError, ModelError, ResourceError.
    """
    base = resolve_model(plan.base, home)
    stamp(studio.folder, _identity(plan, base))
    tell.say("speech")
    material = prepare(plan, studio)
    made_from = {"base": base.digest or base.name, "own": digest_manifest(studio.training / OWN)}
    taught = figure.count_terms_said(material.own, open_spotter()[0])
    spot, lexicon = open_spotter(heard=taught.keys())
    known = figure.Familiarity(_count_heard(plan, material, studio, spot), taught)
    rows = _rows(plan)
    for row in rows:
        if only and row.name not in only and row.name != BASE:
            continue
        export = _train(row, plan, studio, material, base, home, tell)
        with _opened(export, studio, home) as system:
            for name, items in material.tests.items():
                tell.say(f"{row.name}: {name}, {len(items)} utterances")
                run = _ask(row, name, items, system, studio, tell)
                row.tables[name] = figure.tabulate_run(run, spot, known)
    document = describe(plan.model_copy(update={"base": base.name}), rows, material)  # a name: no path of this machine
    about = {"made_from": made_from, "lexicon": lexicon, "environment": describe_environment()}
    return document | about | {"date": f"{datetime.now(UTC):%Y-%m-%d}"}


def _identity(plan: Plan, base: ResolvedModel) -> dict[str, str]:
    """Return what must not change within one proof; tests and methods may be added to."""
    fixed = plan.model_dump_json(
        include={"base", "steps", "seed", "scale", "processes", "heard", "replay", "general", "dev", "own"}
    )
    return {"plan": fixed, "base": base.digest or base.name}


def _rows(plan: Plan) -> list[Row]:
    rows = [Row("base: not trained further", BASE)]
    rows += [Row(method.title, name) for name, method in plan.methods.items()]
    if plan.curve is not None:
        title = plan.methods[plan.curve.method].title
        rows += [Row(f"{title}, {size} utterances", f"curve-{size}", size) for size in plan.curve.sizes]
    return rows


def _train(
    row: Row, plan: Plan, studio: Studio, material: Material, base: ResolvedModel, home: Path, tell: Tell
) -> Path:
    """Train a row's model unless that is done; return the folder of its export."""
    if row.name == BASE:
        return base.path
    own, share, method = OWN, 1.0, row.name
    if row.size is not None and plan.curve is not None:
        size = min(row.size, len(material.own))
        own, share, method = (
            take_part(studio, material.own, size, plan.seed),
            size / len(material.own),
            plan.curve.method,
        )
    recipe = method_recipe(plan, plan.methods[method], studio.plan, own, share)
    recipe = recipe.model_copy(update={"name": f"{recipe.name}-{row.name}"})
    places = Places(studio.training, home / "cache" / "features", studio.folder / "models" / row.name)
    tell.say(f"{row.name}: training, {recipe.steps} steps")
    row.trained = carry_out(recipe, base, places, studio.jobs, tell.watch)
    return places.run / EXPORT


@contextmanager
def _opened(export: Path, studio: Studio, home: Path) -> Iterator[System]:
    """Open a row's model in as many processes as requests run at a time, once for all tests."""
    # No names are listened for: the model alone counts.
    system = open_side_by_side(str(export), SystemOptions(home=home, vocabulary=()), studio.jobs)
    try:
        yield system
    finally:
        if isinstance(system, ReplicatedSystem):
            system.close()


def _ask(row: Row, name: str, items: list[Item], system: System, studio: Studio, tell: Tell) -> Run:
    """Transcribe a test, as far as that is not done."""
    folder = studio.folder / "runs" / row.name / f"{name}-{digest_items(items)[:8]}"
    run = create_run(folder, system, items, {"test": name})
    transcribe_run(run, system, jobs=studio.jobs, progress=tell.answer)
    return run


def _count_heard(plan: Plan, material: Material, studio: Studio, spot: Spotter) -> dict[str, int]:
    """Return how often the base's training says each term; counted once."""
    path = studio.folder / "heard.json"
    if not path.exists():
        counts = figure.count_terms_said(material.heard, spot)
        write_atomically(path, json.dumps(dict(sorted(counts.items())), ensure_ascii=False) + "\n")
    found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    return found


def describe(plan: Plan, rows: list[Row], material: Material) -> dict[str, Any]:
    """Return the document of what is done: rows, paired differences, slices, goals, what is missing."""
    roles: dict[str, Role] = {name: plan.tests[name].role for name in material.tests}
    done = {row.name: row for row in rows if row.tables}
    return {
        "plan": plan.model_dump(mode="json"),
        "tests": {
            name: {"role": roles[name], "utterances": len(items), "left_out": material.left_out[name],
                   "digest": digest_items(items)}
            for name, items in material.tests.items()
        },
        "missing": [*material.missing, *(row.name for row in rows if not row.tables)],
        "own_utterances": len(material.own),
        "rows": [_describe_row(row, done, plan, roles) for row in done.values()],
        "goals": _goals(plan, done, roles),
    }  # fmt: skip


def _describe_row(row: Row, done: Mapping[str, Row], plan: Plan, roles: Mapping[str, Role]) -> dict[str, Any]:
    figures = {
        name: {key: asdict(value) for key, value in figure.estimate(table, roles[name], plan.draws).items()}
        for name, table in row.tables.items()
    }
    against = {other: _against(done[other], row, plan, roles) for other in (BASE, plan.control)
               if other in done and other != row.name and row.name != BASE}  # fmt: skip
    slices = {
        name: {
            value: {key: asdict(found) for key, found in estimates.items()}
            for value, estimates in figure.slice_figures(table, roles[name], SLICES, plan.draws).items()
        }
        for name, table in row.tables.items()
        if roles[name] != "noise"
    }
    trained = asdict(row.trained) if row.trained else None
    return {"name": row.name, "title": row.title, "own": row.size, "trained": trained, "figures": figures,
            "against": against, "slices": slices}  # fmt: skip


def _against(one: Row, two: Row, plan: Plan, roles: Mapping[str, Role]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, table in two.tables.items():
        pair = one.tables[name], table
        compared = figure.differences(*pair, roles[name], plan.draws)
        fewer = {rate.key: figure.reduction(*pair, rate, plan.draws) for rate in figure.FIGURES[roles[name]]}
        found[name] = {
            "worse": figure.worse_share(*pair),
            "differences": {
                key: {"value": one.value, "low": one.low, "high": one.high, "p": one.p} for key, one in compared.items()
            },
            "reductions": {key: asdict(one) for key, one in fewer.items() if one is not None},
        }
    return found


def _goals(plan: Plan, done: Mapping[str, Row], roles: Mapping[str, Role]) -> list[dict[str, Any]]:
    """Return each goal with whether the best method meets it; None where it was not measured or too little was."""
    best, control, base = (done.get(name) for name in (plan.best, plan.control, BASE))
    if best is None or control is None or base is None:
        return []
    pairs = {"clinical": (control, _terms_goal), "general": (base, _general_goal)}
    return [
        judge(name, other.tables[name], best.tables[name], plan.draws)
        for name, role in roles.items()
        if role in pairs
        for other, judge in [pairs[role]]
    ]


def _terms_goal(name: str, control: ScoreTable, best: ScoreTable, draws: int) -> dict[str, Any]:
    found = figure.reduction(control, best, figure.TAUGHT, draws)
    what = f"{name}: at least {GOAL_TERMS:.0%} fewer errors on taught terms than the control"
    met = found.value >= GOAL_TERMS if found else None
    return {"goal": what, "met": met, "found": asdict(found) if found else None}


def _general_goal(name: str, base: ScoreTable, best: ScoreTable, draws: int) -> dict[str, Any]:
    lost = figure.differences(base, best, "general", draws).get(figure.WER.key)
    value, high = GOAL_GENERAL
    what = f"{name}: WER at most {100 * value:g} points above the base's, upper end at most {100 * high:g}"
    met = None
    if lost is not None and lost.value is not None and lost.high is not None and len(best.keys) >= GOAL_EVENTS:
        met = lost.value <= value and lost.high <= high
    found = {"value": lost.value, "low": lost.low, "high": lost.high} if lost else None
    return {"goal": what, "met": met, "utterances": len(best.keys), "found": found}
