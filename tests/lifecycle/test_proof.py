"""A proof of a few steps: every row is trained and asked once, the report holds what was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_set import make_set

from medstt.errors import DataError
from medstt.evaluate.item import items_of
from medstt.evaluate.lexicon import open_spotter
from medstt.evaluate.run import create_run, transcribe_run
from medstt.evaluate.system import Reply, Request
from medstt.lifecycle.proof.figure import Familiarity, tabulate_run
from medstt.lifecycle.proof.material import GENERAL, Material, Studio, prepare
from medstt.lifecycle.proof.method import Trained, method_recipe
from medstt.lifecycle.proof.plan import Plan, read_plan
from medstt.lifecycle.proof.result import Row, Tell, describe, prove
from medstt.lifecycle.proof.text import render
from medstt.manifest import read_manifest, write_manifest
from medstt.synth.recipe import read_recipe as read_synth_recipe
from medstt.train.finish import finish, make_card
from medstt.train.recipe import DataSource, Recipe, Shape
from medstt.train.run import Places, run
from medstt.values import Utterance

TRAINING = Path(__file__).parents[2] / "training"
DRUGS = ("ibuprofen", "metformin")
SAY = {"left": "ibuprofen", "right": "metformin", "no": "no", "pain": "pain"}
TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip


def speech(folder: Path, count: int, seed: int, speaker: str, *, drugs: bool = True) -> None:
    manifest = make_set(folder, count, seed)
    rows = [
        replace(row, text=" ".join(SAY[word] if drugs else "no" for word in row.text.split()), speaker=speaker)
        for row in read_manifest(manifest)
    ]
    write_manifest(manifest, rows)


def quiet(row: dict[str, float]) -> None:
    """Take a report and print nothing."""


def plan(base: Path, **changes: object) -> Plan:
    tiny = ["steps=2", "frames=600", "processes=1", "lora_rank=2"]
    values: dict[str, object] = {
        "base": str(base), "steps": 2, "processes": 1, "heard": ["base/manifest.jsonl"], "dev": 2, "draws": 50,
        "own": {"manifest": "site/manifest.jsonl"}, "control": "control", "best": "best",
        "methods": {
            "control": {"title": "control", "recipe": "own-full.toml",
                        "set": [*tiny, 'train=[{manifest="general/manifest.jsonl"}]']},
            "best": {"title": "best", "recipe": "own.toml", "set": tiny},
        },
        "curve": {"method": "best", "sizes": [4]},
        "tests": {
            "clinical": {"role": "clinical", "manifest": "test/manifest.jsonl"},
            "general": {"role": "general", "manifest": "general-test/manifest.jsonl"},
            "human": {"role": "general", "manifest": "human/manifest.jsonl", "optional": True},
            "noise": {"role": "noise", "count": 4},
        },
    }  # fmt: skip
    return Plan.model_validate(values | changes)


@pytest.mark.parametrize("name", ["transfer", "formulary"])
def test_our_plans_and_their_recipes_are_valid(name: str) -> None:
    found = read_plan(TRAINING / "proof" / f"{name}.toml", ["steps=3", "scale=0.1"])
    assert (found.steps, found.scale) == (3, 0.1)
    for method in found.methods.values():
        assert method_recipe(found, method, TRAINING / "proof").steps == 3
    for path in (TRAINING / "proof").glob("*.synth.toml"):
        spoken = read_synth_recipe(path)
        assert spoken.parts or (path.parent / str(spoken.terms)).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stepz=3", "Did you mean 'steps'"),
        ("tests.noise.role=3", "tests.noise.role"),
        ("best=nobody", "no method 'nobody'"),
        ("own.manifest=a.jsonl", "give recipe or manifest"),
        ("replay=['other.jsonl']", "replay names other.jsonl, which is not in heard"),
    ],
)
def test_a_wrong_plan_is_named(change: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_plan(TRAINING / "proof" / "transfer.toml", [change])


def test_terms_are_grouped_by_how_often_they_were_heard() -> None:
    known = Familiarity({"a": 0, "b": 5, "c": 6, "d": 1}, {"a": 1, "b": 1, "c": 2})
    assert known.groups("a") == ("taught", "taught_never")
    assert known.groups("b") == ("taught", "taught_few")
    assert known.groups("c") == ("taught", "taught_many")
    assert known.groups("d") == ("untaught",)
    assert known.groups("e") == ("unknown",)


def test_terms_of_a_synthesis_recipe_are_taught_and_others_replayed(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    speech(tmp_path / "data" / "base", 12, 1, "a", drugs=False)
    speech(tmp_path / "data" / "words", 12, 2, "a", drugs=False)
    speech(tmp_path / "data" / "test", 4, 3, "c")
    (tmp_path / "terms.tsv").write_text("term\tkind\tsource\nAhornflügel\tname\tsite\n", encoding="utf-8")
    (tmp_path / "de").mkdir()
    (tmp_path / "terms.tsv").rename(tmp_path / "de" / "terms.tsv")
    (tmp_path / "own.synth.toml").write_text('seed = 1\nterms = "."\nper_term = 14\n')
    wanted = plan(
        tmp_path, own={"recipe": "own.synth.toml"}, heard=["base/manifest.jsonl", "words/manifest.jsonl"],
        replay=["base/manifest.jsonl"], curve=None, dev=1,
    )  # fmt: skip
    tests = {"clinical": wanted.tests["clinical"]}
    studio = Studio(tmp_path, tmp_path / "data", None, tmp_path / "proof", 1)
    material = prepare(wanted.model_copy(update={"tests": tests}), studio)
    assert len(material.own) == 13  # one is kept for choosing; each of the grammar's sentences is used once
    assert all("Ahornflügel" in row.text for row in material.own)
    assert len(material.heard) == 24
    replayed = read_manifest(studio.training / GENERAL)
    assert len(replayed) == 11
    assert all(row.id.startswith("base-") for row in replayed)


class Written:
    """A system that misses drug names, each as often as told."""

    def __init__(self, name: str, misses: int) -> None:
        self.name, self.misses = name, misses

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "written", "name": self.name}

    def transcribe(self, request: Request) -> Reply:
        number = int(request.key.rpartition("-")[2])
        drug = DRUGS[number % len(DRUGS)]
        text = "" if "noise" in request.key else f"give {drug} today" if "clinical" in request.key else "no pain at all"
        return Reply(text.replace(drug, "something") if number % 10 < self.misses else text, audio_ms=1000)


def test_goals_differences_and_report_from_answers(tmp_path: Path) -> None:
    def row(test: str, number: int) -> Utterance:
        text = {"clinical": f"give {DRUGS[number % len(DRUGS)]} today", "general": "no pain at all", "noise": ""}[test]
        tags = {"tier": "unseen variant", "voice": f"v{number % 3}"}
        return Utterance(f"{test}-{number}", "a.wav", text, "en", speaker=f"v{number % 3}", tags=tags)

    tests = {"clinical": 40, "general": 1000, "noise": 8}
    items = {test: items_of([row(test, number) for number in range(count)], tmp_path) for test, count in tests.items()}
    spot, _ = open_spotter(heard=["ibuprofen", "metformin"])
    known = Familiarity({"metformin": 3}, {"ibuprofen": 9, "metformin": 9})
    rows = []
    for name, misses in (("base", 9), ("control", 8), ("best", 1)):
        tables = {}
        for test, part in items.items():
            made = create_run(tmp_path / name / test, Written(name, misses), part, {})
            transcribe_run(made, Written(name, misses))
            tables[test] = tabulate_run(made, spot, known)
        trained = None if name == "base" else Trained("digest", 2, 60.0, 10**6)
        rows.append(Row(name, name, None, trained, tables))
    wanted = plan(tmp_path, curve=None, draws=200, tests={name: {"role": name, "manifest": "x"} for name in tests}
                  | {"noise": {"role": "noise", "count": 8}})  # fmt: skip
    document = describe(wanted, rows, Material((), (), items, dict.fromkeys(items, 0), ()))
    figures = document["rows"][2]["figures"]["clinical"]
    assert (figures["taught_miss"]["errors"], figures["taught_miss"]["events"]) == (4, 40)
    assert figures["taught_few_miss"]["events"] == figures["taught_never_miss"]["events"] == 20
    assert figures["drug_heard_miss"]["events"] == 40
    assert figures["unknown_miss"]["events"] == 0
    against = document["rows"][2]["against"]["control"]["clinical"]
    assert against["differences"]["taught_miss"]["value"] == pytest.approx((4 - 32) / 40)
    assert against["differences"]["taught_miss"]["high"] < 0
    assert against["reductions"]["taught_miss"]["value"] == pytest.approx(1 - 4 / 32)
    assert against["worse"] == 0
    terms, general = document["goals"]
    assert terms["met"] is True
    assert general["met"] is True
    assert general["utterances"] == 1000
    head = {"date": "2026-01-01", "environment": {"cores": 2, "processor": "p"}}
    text = render(json.loads(json.dumps(document | head)), "medstt prove plan.toml")
    assert "**met**" in text
    assert "| en, unseen variant, v0 |" in text
    assert "| best | 2 | 1.0 | 1.0 |" in text


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_small_proof_from_data_to_report(tmp_path: Path) -> None:
    data = tmp_path / "data"
    speech(data / "base", 16, 1, "a", drugs=False)
    speech(data / "site", 16, 2, "b")
    speech(data / "test", 24, 3, "c")
    speech(data / "general-test", 24, 4, "d")
    first = Recipe.model_validate({
        "name": "tones", "steps": 2, "warmup": 1, "frames": 600, "shape": TINY,
        "train": [DataSource(manifest="manifest.jsonl")],
    })  # fmt: skip
    where = Places(data / "base", tmp_path / "cache", tmp_path / "base-run")
    model, tokenizer = run(first, where, None, jobs=1, report=quiet)
    finish(model, tokenizer, make_card(first, where, None, {}), tmp_path / "base", None)

    studio = Studio(TRAINING / "recipes", data, None, tmp_path / "proof", 1)
    lines: list[str] = []
    wanted = plan(tmp_path / "base")
    early = prove(wanted, studio, tmp_path / "home", Tell(lines.append), only=["best"])
    assert set(early["missing"]) == {"human", "control", "curve-4"}
    trained = (tmp_path / "proof" / "models" / "best" / "trained.json").stat().st_mtime_ns
    document = prove(wanted, studio, tmp_path / "home", Tell(lines.append))
    assert (tmp_path / "proof" / "models" / "best" / "trained.json").stat().st_mtime_ns == trained
    assert document["missing"] == ["human"]
    assert [row["name"] for row in document["rows"]] == ["base", "control", "best", "curve-4"]
    clinical = document["rows"][0]["figures"]["clinical"]
    assert clinical["taught_miss"]["events"] == clinical["taught_never_miss"]["events"] > 0
    assert document["tests"]["clinical"]["left_out"] > 0  # a sentence of the training does not test
    assert document["rows"][2]["against"]["control"]["clinical"]["differences"]["wer_content"]["low"] is not None
    assert all(goal["met"] is not True for goal in document["goals"] if "general" in goal["goal"])  # far too few
    text = render(json.loads(json.dumps(document)), "medstt prove plan.toml")
    for expected in ("Taught terms missed", "points against control", "How much own data", "not there: human"):
        assert expected in text
    with pytest.raises(DataError, match="a proof with another plan"):
        prove(plan(tmp_path / "base", seed=9), studio, tmp_path / "home", Tell())
    speech(data / "test", 24, 3, "b")
    with pytest.raises(DataError, match="the speaker 'b' is in training too"):
        prove(wanted, studio, tmp_path / "home", Tell())
