"""A proof of a few steps: every row is trained and asked once, the report holds what was asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_set import make_set

from medstt.errors import DataError
from medstt.lifecycle.proof.figure import Familiarity
from medstt.lifecycle.proof.material import Studio
from medstt.lifecycle.proof.plan import Plan, read_plan
from medstt.lifecycle.proof.result import Tell, prove
from medstt.lifecycle.proof.text import render
from medstt.manifest import read_manifest, write_manifest
from medstt.synth.recipe import read_recipe as read_synth_recipe
from medstt.train.finish import finish, make_card
from medstt.train.recipe import DataSource, Recipe, Shape
from medstt.train.run import Places, run

TRAINING = Path(__file__).parents[2] / "training"
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


def test_our_plan_and_its_recipes_are_valid() -> None:
    found = read_plan(TRAINING / "proof" / "transfer.toml", ["steps=3", "scale=0.1"])
    assert (found.steps, found.scale) == (3, 0.1)
    for method in found.methods.values():
        assert (TRAINING / "proof" / method.recipe).exists()
    for path in (TRAINING / "proof").glob("*.synth.toml"):
        assert read_synth_recipe(path).parts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stepz=3", "Did you mean 'steps'"),
        ("tests.noise.role=3", "tests.noise.role"),
        ("best=nobody", "no method 'nobody'"),
        ("own.manifest=a.jsonl", "give recipe or manifest"),
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


@pytest.mark.slow
def test_a_small_proof_from_data_to_report(tmp_path: Path) -> None:
    data = tmp_path / "data"
    speech(data / "base", 16, 1, "a", drugs=False)
    speech(data / "site", 16, 2, "b")
    speech(data / "test", 24, 3, "c")
    speech(data / "general-test", 6, 4, "d")
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
