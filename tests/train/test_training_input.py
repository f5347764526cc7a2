"""What training refuses, by name, and what a full disk or a stop leaves behind."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_set import make_set
from tokenizers import Tokenizer, models
from transformers import WhisperTokenizerFast

from medstt.errors import DataError, ModelError, ResourceError
from medstt.manifest import read_manifest, write_manifest
from medstt.train.loop import BEST, CHECKPOINT, LOG, write_state
from medstt.train.recipe import DataSource, Recipe, Shape
from medstt.train.run import Places, check_tokens, run
from medstt.train.stop import DEV_SCORE, read_log
from medstt.values import Utterance

TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "tones", "steps": 6, "warmup": 2, "frames": 1200, "checkpoint_steps": 2, "dev_steps": 2,
        "shape": TINY, "train": [DataSource(manifest="manifest.jsonl")],
    }  # fmt: skip
    return Recipe.model_validate(values | changes)


def quiet(row: dict[str, float]) -> None:
    """Take a report and print nothing."""


def train_with(folder: Path, **changes: object) -> None:
    """Train on a set whose fourth row has the given changes."""
    manifest = make_set(folder, 6)
    rows = read_manifest(manifest)
    row = {name: getattr(rows[3], name) for name in Utterance.__dataclass_fields__}
    lines = [json.dumps({**row, **changes}) if number == 3 else line
             for number, line in enumerate(manifest.read_text().splitlines())]  # fmt: skip
    manifest.write_text("\n".join(lines) + "\n")
    run(recipe(steps=1), Places(folder, folder / "cache", folder / "run"), None, jobs=1, report=quiet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": "audio/gone.wav"}, r"missing, e\.g\. u3: audio/gone\.wav"),
        ({"start_ms": -5}, r"manifest\.jsonl:4: times -5"),
        ({"start_ms": 900_000}, r"u3: .*ends before the utterance starts"),
        ({"lang": "fr"}, r"u3: language 'fr'.*en, de"),
        ({"text": "left right " * 400}, r"u3: its text takes \d+ tokens; the decoder holds 441"),
    ],
)
def test_a_bad_row_is_named_before_the_first_step(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_with(tmp_path, **changes)


def test_a_repaired_row_is_read_again(tmp_path: Path) -> None:
    manifest = make_set(tmp_path, 4)
    kept = (tmp_path / "audio" / "2.wav").read_bytes()
    (tmp_path / "audio" / "2.wav").write_bytes(b"no audio")
    places = Places(tmp_path, tmp_path / "cache", tmp_path / "run")
    for _ in range(2):
        with pytest.raises(DataError, match=r"1 utterances cannot be decoded, e\.g\. u2"):
            run(recipe(steps=1), places, None, jobs=1, report=quiet)
    (tmp_path / "audio" / "2.wav").write_bytes(kept)
    run(recipe(steps=1), places, None, jobs=1, report=quiet)
    assert len(read_manifest(manifest)) == 4


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    write_state({"step": 1, "weight": torch.ones(10)}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # the system refuses to write more, as a full disk does
    try:
        with pytest.raises(ResourceError, match=CHECKPOINT):
            write_state({"step": 2, "weight": torch.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert int(torch.load(path, weights_only=True)["step"]) == 1
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_run_stops_when_the_dev_score_gets_no_better(tmp_path: Path) -> None:
    manifest = make_set(tmp_path, 6)
    write_manifest(manifest, [replace(row, terms=("pain",)) for row in read_manifest(manifest)])
    # With a rate this small no score changes, so the first one stays the best.
    plan = recipe(steps=40, learning_rate=1e-12, patience=2, dev=[DataSource(manifest="manifest.jsonl", weight=2.0)])
    places = Places(tmp_path, tmp_path / "cache", tmp_path / "run")
    run(plan, places, None, jobs=1, report=quiet, dev_count=2)
    scores = [row for row in read_log(places.run / LOG) if DEV_SCORE in row]
    assert [row["step"] for row in scores] == [2, 4, 6]
    rates = [value for name, value in scores[0].items() if name in ("dev0 en tones", "dev0 de tones")]
    assert scores[0][DEV_SCORE] == pytest.approx(sum(rates) / len(rates) + scores[0]["dev0 terms"])
    assert int(torch.load(places.run / BEST, weights_only=True)["step"]) == 2
    run(plan, places, None, jobs=1, report=quiet, dev_count=2)  # a stopped run does not go on
    assert len([row for row in read_log(places.run / LOG) if DEV_SCORE in row]) == 3


def test_a_base_without_the_needed_tokens_is_refused(tmp_path: Path) -> None:
    tokens = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]  # English alone
    made = Tokenizer(models.WordLevel({token: number for number, token in enumerate(tokens)}, "<|endoftext|>"))
    with pytest.raises(ModelError, match=r"vocabulary lacks <\|0\.00\|>, <\|de\|>.*multilingual"):
        check_tokens(WhisperTokenizerFast(tokenizer_object=made))
