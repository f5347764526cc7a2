"""A run from nothing to a transcript, interrupted, resumed, adapted, exported and registered."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
import torch
from small_set import make_set

from medstt.audio import read_audio
from medstt.cli.follow import no_report
from medstt.engine import load_engine
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.errors import ConflictError, DataError
from medstt.registry import ModelStore
from medstt.train.finish import finish, make_card
from medstt.train.loop import CHECKPOINT
from medstt.train.recipe import DataSource, Loss, Recipe, Shape
from medstt.train.run import Places, run
from medstt.values import Segment

TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "tones", "steps": 20, "warmup": 2, "frames": 600, "learning_rate": 3e-3, "checkpoint_steps": 5,
        "shape": TINY, "train": [DataSource(manifest="manifest.jsonl")],
    }  # fmt: skip
    return Recipe.model_validate(values | changes)


def quiet(row: dict[str, float]) -> None:
    """Take a report and print nothing."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("tones")).parent


def places(data: Path, run_folder: Path) -> Places:
    return Places(data, data / "cache", run_folder)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def test_train_export_register_transcribe(data: Path, tmp_path: Path) -> None:
    plan, where = recipe(), places(data, tmp_path / "run")
    model, tokenizer = run(plan, where, None, jobs=1, report=quiet)
    store = ModelStore(tmp_path / "models")
    registered = finish(model, tokenizer, make_card(plan, where, None, {}), tmp_path / "export", store)
    assert registered is not None
    assert store.verify("tones", registered.version) == registered.digest
    again = finish(model, tokenizer, make_card(plan, where, None, {}), tmp_path / "export", store)
    assert again is not None
    engine = load_engine(registered.path, "tones", cache=tmp_path / "cache")
    audio = read_audio(data / "audio" / "0.wav")
    heard = engine.decode([Clip(audio.samples, Segment(0, audio.duration_ms))], DecodeOptions(language="en"))
    assert len(heard) == 1
    assert engine.capabilities.audio_context == "dynamic"


def test_an_interrupted_run_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    whole, _ = run(recipe(), places(data, tmp_path / "whole"), None, jobs=1, report=quiet)

    class Stop(Exception):
        pass

    def stop_at_15(row: dict[str, float]) -> None:
        if row["step"] >= 15:
            raise Stop

    from medstt.train import run as module

    where = places(data, tmp_path / "parts")
    module.prepare(recipe(), where, None, 1)
    trainer, tokenizer = module.open_trainer(recipe(), where, None)
    caches = module.open_caches(recipe().train, where, 80, 1)
    sampler = module.make_sampler(recipe(), where, tokenizer, caches)
    with pytest.raises(Stop):
        trainer.train(sampler.batches(), report=stop_at_15, report_steps=1)
    assert (where.run / CHECKPOINT).exists()
    resumed, _ = run(recipe(), where, None, jobs=1, report=quiet)
    expected = weights(whole)
    assert all(torch.equal(expected[name], weight) for name, weight in weights(resumed).items())


def test_two_processes_share_a_step(data: Path, tmp_path: Path) -> None:
    # The report is pickled for the other processes, which cannot import a test.
    model, _ = run(recipe(processes=2, steps=4), places(data, tmp_path / "run"), None, jobs=1, report=no_report)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


@pytest.mark.parametrize("method", ["full", "lora", "frozen-encoder"])
def test_fine_tuning_starts_from_the_base(data: Path, tmp_path: Path, method: str) -> None:
    plan, where = recipe(), places(data, tmp_path / "base")
    base, tokenizer = run(plan, where, None, jobs=1, report=quiet)
    finish(base, tokenizer, make_card(plan, where, None, {}), tmp_path / "export", None)
    before = weights(base)
    child = recipe(name="child", base="tones", method=method, steps=3, loss=Loss(distil=0.5), lora_rank=2)
    model, _ = run(child, places(data, tmp_path / "child"), tmp_path / "export", jobs=1, report=quiet)
    after = weights(model)
    assert set(after) == set(before)
    encoder = [name for name in after if ".encoder.layers" in name and "weight" in name and "norm" not in name]
    moved = any(not torch.allclose(before[name], after[name], atol=5e-4) for name in encoder)
    assert moved is (method != "frozen-encoder")


def test_a_run_that_is_going_on_is_not_disturbed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="another run"):
            run(recipe(), places(data, tmp_path / "run"), None, jobs=1, report=quiet)


def test_missing_data_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="manifest"):
        run(recipe(), places(tmp_path, tmp_path / "run"), None, jobs=1, report=quiet)
