"""The speech of a proof: what is taught, what is replayed, the tests; no test has a sentence or voice of training.

Everything lies in the proof's folder as manifests; audio stays where it is. Knows nothing of models or scores.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medstt.disk import write_atomically
from medstt.errors import DataError
from medstt.evaluate.item import Item, read_items
from medstt.evaluate.nonspeech import make_nonspeech
from medstt.lifecycle.proof.plan import Plan, TestSet
from medstt.manifest import read_manifest, write_manifest
from medstt.synth.compose import builtin_grammar_folder, missing_texts
from medstt.synth.make import make
from medstt.synth.recipe import SynthRecipe, read_recipe, scale_recipe
from medstt.synth.vocabulary import build_vocabularies, read_chosen
from medstt.values import Utterance

OWN, GENERAL = "own/manifest.jsonl", "general/manifest.jsonl"  # as the recipes name them
DEV, DEV_GENERAL = "dev/manifest.jsonl", "dev-general/manifest.jsonl"
NOISE_SECONDS = 6.0
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Studio:
    """Where a proof finds and keeps speech: the plan's folder, the user's data, texts, the proof's own folder."""

    plan: Path
    data: Path
    texts: Path | None
    folder: Path
    jobs: int
    progress: Progress = lambda done, total, seconds: None

    @property
    def training(self) -> Path:
        """Root of the manifests that methods train on."""
        return self.folder / "data"


@dataclass(frozen=True, slots=True)
class Material:
    """What was heard by the base and what is taught, as texts, and the tests' items with what was left out."""

    heard: tuple[Utterance, ...]
    own: tuple[Utterance, ...]
    tests: dict[str, list[Item]]
    left_out: dict[str, int]
    missing: tuple[str, ...]


def ranked(rows: Iterable[Utterance], seed: int) -> list[Utterance]:
    """Return rows in an order that follows from their ids alone, so that a smaller part lies in every larger one."""
    return sorted(rows, key=lambda row: hashlib.sha256(f"{seed}/{row.id}".encode()).digest())


def said(text: str) -> str:
    """Return a text as it is compared between training and tests."""
    return " ".join(text.lower().split())


def prepare(plan: Plan, studio: Studio) -> Material:
    """Make or find all speech and write the manifests of training; raises DataError for what is missing."""
    parts = {name: _read_heard(studio.data / name, studio) for name in plan.heard}
    heard = [row for part in parts.values() for row in part]
    replayed = [row for name in plan.replay or plan.heard for row in parts[name]]
    general = ranked(replayed, plan.seed)[: plan.general + plan.dev]
    own = ranked(_own(plan, studio), plan.seed)
    if len(own) <= plan.dev or len(general) <= plan.dev:
        raise DataError(
            f"{min(len(own), len(general))} utterances are too few to train on", "Lower dev, or raise scale"
        )
    _write(studio.training / DEV, own[: plan.dev])
    _write(studio.training / OWN, own[plan.dev :])
    _write(studio.training / DEV_GENERAL, general[: plan.dev])
    _write(studio.training / GENERAL, general[plan.dev :])
    tests: dict[str, list[Item]] = {}
    left_out: dict[str, int] = {}
    missing: list[str] = []
    for name, test in plan.tests.items():
        manifest = _test_manifest(name, test, plan, studio)
        if manifest is None:
            missing.append(name)
            continue
        items = read_items(manifest, name)
        tests[name] = _unheard(items, heard, own)
        left_out[name] = len(items) - len(tests[name])
        if not tests[name]:
            raise DataError(f"test {name}: every sentence occurs in training", "Give other texts or another seed")
    return Material(tuple(heard), tuple(own[plan.dev :]), tests, left_out, tuple(missing))


def take_part(studio: Studio, own: Sequence[Utterance], size: int, seed: int) -> str:
    """Write the manifest of the first ``size`` utterances of what is taught; returns its name for a recipe."""
    name = f"own-{size}/manifest.jsonl"
    _write(studio.training / name, ranked(own, seed)[:size])
    return name


def _read_heard(path: Path, studio: Studio) -> list[Utterance]:
    if not path.exists():
        raise DataError(
            f"{path}: no such manifest, but the plan says that the base was trained on it",
            "Name the folder that holds it with --data; training/README.md says how its speech is made",
        )
    # Several manifests may use the same ids; audio is named relative to the proof from here on.
    return [
        _moved(row, path.parent, studio.training / GENERAL, f"{path.parent.name}-{row.id}")
        for row in read_manifest(path)
    ]


def _own(plan: Plan, studio: Studio) -> list[Utterance]:
    if plan.own.manifest is not None:
        source = studio.data / plan.own.manifest
    else:
        made = _speak(studio.plan / str(plan.own.recipe), "own", plan, studio)
        if made is None:
            raise DataError(f"{plan.own.recipe}: none of its texts is there", "Name their folder with --texts")
        source = made
    return [_moved(row, source.parent, studio.training / OWN, row.id) for row in read_manifest(source)]


def _test_manifest(name: str, test: TestSet, plan: Plan, studio: Studio) -> Path | None:
    """Return a test's manifest; None for an optional one that is not there."""
    if test.count:
        count = max(4, round(test.count * plan.scale))
        return make_nonspeech(studio.folder / "speech" / f"{name}-{count}", count, NOISE_SECONDS, plan.seed)
    if test.manifest is not None:
        path = studio.data / test.manifest
        found = path if path.exists() else None
    else:
        found = _speak(studio.plan / str(test.recipe), name, plan, studio)
    if found is None and not test.optional:
        raise DataError(f"test {name}: its speech or its texts are not there", "Name folders with --data and --texts")
    return found


def _speak(path: Path, name: str, plan: Plan, studio: Studio) -> Path | None:
    """Make a synthesis recipe's speech; None where it names texts and none of them is there."""
    recipe = read_recipe(path)
    gone = missing_texts(recipe, studio.texts)
    if gone:
        print(f"medstt: {path.name}: left out, not in --texts: {', '.join(gone)}", file=sys.stderr)
    chosen = read_chosen(path.parent / recipe.terms) if recipe.terms else ()
    if not chosen and all(part.kind == "text" and not set(part.files) - set(gone) for part in recipe.parts):
        return None
    scaled = scale_recipe(recipe, plan.scale)
    return make(
        scaled, build_vocabularies((), chosen), builtin_grammar_folder(), studio.texts,
        studio.folder / "speech" / _slug(name, scaled), jobs=studio.jobs, sounds_from=path.parent,
        progress=studio.progress,
    )  # fmt: skip


def _slug(name: str, recipe: SynthRecipe) -> str:
    """Return a folder's name that changes with the recipe: another scale is other speech."""
    return f"{name}-{hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:8]}"


def _unheard(items: Sequence[Item], heard: Sequence[Utterance], own: Sequence[Utterance]) -> list[Item]:
    """Return the items whose sentence training does not hold; raises DataError for a voice that it holds."""
    texts = {said(row.text) for rows in (heard, own) for row in rows}
    voices = {row.speaker for rows in (heard, own) for row in rows if row.speaker}
    for item in items:
        if item.utterance.speaker in voices:
            raise DataError(
                f"test {item.set_name}: the speaker {item.utterance.speaker!r} is in training too",
                "Test on voices that training has not heard",
            )
    return [item for item in items if not item.utterance.text or said(item.utterance.text) not in texts]


def _moved(row: Utterance, source: Path, target: Path, name: str) -> Utterance:
    """Return a row with its audio relative to the folder of ``target``; all our manifests lie equally deep."""
    audio = os.path.relpath((source / row.audio).resolve(), target.parent.resolve())
    return replace(row, id=name, audio=Path(audio).as_posix())


def _write(path: Path, rows: Sequence[Utterance]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(path, rows)


def stamp(folder: Path, identity: dict[str, str]) -> None:
    """Record whose proof a folder holds; raises DataError where it holds another's."""
    path = folder / "proof.json"
    if path.exists() and (old := json.loads(path.read_text(encoding="utf-8"))) != identity:
        changed = [key for key in identity if old.get(key) != identity[key]]
        raise DataError(f"{folder} holds a proof with another {', '.join(changed)}", "Give a new --out folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(identity, indent=1) + "\n")
