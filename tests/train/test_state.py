"""A decoder trained on kept states of a frozen encoder: the states, what a run keeps, interruption, heads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_set import make_set
from transformers import WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.audio import read_audio
from medstt.engine import load_engine
from medstt.engine.letter import HEAD
from medstt.engine.protocol import Clip, DecodeOptions
from medstt.errors import OptionError
from medstt.train import state
from medstt.train.augment import AugmentOptions
from medstt.train.export import WEIGHTS, export_model, load_head, scale_head
from medstt.train.finish import finish, make_card
from medstt.train.loop import CHECKPOINT, LOG
from medstt.train.model import CtcHead, encode
from medstt.train.recipe import DataSource, Loss, Recipe, Shape
from medstt.train.run import EXPORT, Places, run
from medstt.train.state import ClipMaker, StateCache, View, count_clips, digest_encoder, open_states
from medstt.train.stop import read_log
from medstt.values import Segment

TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip
VIEW = View(AugmentOptions(), (), joined=0.3, empty=0.1, full_context=0.1, seed=4)
SMALL_FILE = 24  # clips
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_state import PLAN, train
if __name__ == "__main__":
    train(PLAN, *map(Path, sys.argv[2:5]))
"""


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "tones", "steps": 20, "warmup": 2, "frames": 600, "learning_rate": 3e-3, "checkpoint_steps": 5,
        "shape": TINY, "train": [DataSource(manifest="manifest.jsonl")],
    }  # fmt: skip
    return Recipe.model_validate(values | changes)


PLAN = recipe(name="child", base="tones", method="frozen-encoder", views=10, frames=9000, dropout=0.1)


def quiet(row: dict[str, float]) -> None:
    """Take a report and print nothing."""


def train(plan: Recipe, data: Path, base: Path, folder: Path) -> bytes:
    """Carry out a plan with kept states in a cache of its own; return the exported weights."""
    where = Places(data, folder / "cache", folder / "run")
    model, tokenizer = run(plan, where, base, jobs=1, report=quiet)
    finish(model, tokenizer, make_card(plan, where, "tones", {}), where.run / EXPORT, None)
    return (where.run / EXPORT / WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("tones"), 40).parent


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    where = Places(data, folder / "cache", folder / "run")
    model, tokenizer = run(recipe(steps=3), where, None, jobs=1, report=quiet)
    finish(model, tokenizer, make_card(recipe(), where, None, {}), where.run / EXPORT, None)
    return where.run / EXPORT


def open_small(data: Path, base: Path, root: Path, count: int = 1000) -> tuple[StateCache, ClipMaker]:
    model = WhisperForConditionalGeneration.from_pretrained(base).float()
    maker = ClipMaker(data / "manifest.jsonl", root, 80, VIEW, 3)
    return open_states(maker, base, digest_encoder(model), count), maker


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "CHUNK", SMALL_FILE)


@pytest.mark.usefixtures("small_files")
def test_states_are_what_the_model_computes(data: Path, base: Path, tmp_path: Path) -> None:
    kept, maker = open_small(data, base, tmp_path)
    model = WhisperForConditionalGeneration.from_pretrained(base).float().eval()
    assert len(kept.spoken) == len(maker.order) > 2 * SMALL_FILE
    assert any(len(clip) > 1 for _, _, clip in maker.order)  # said one after another
    assert any(not spoken.text for spoken in kept.spoken)
    assert kept.positions.max() == 1500  # some are padded to 30 s
    for place in range(len(kept.spoken)):
        sound, spoken = maker.sound(place)
        with torch.no_grad():
            expected = encode(model, torch.from_numpy(sound))[0].half().numpy()
        assert kept.spoken[place] == spoken
        assert np.array_equal(kept.states(place), expected)
    views = [{row.text for row in kept.spoken[start : start + 20]} for start in (0, kept.per_view)]
    assert views[0] != views[1] or not np.array_equal(kept.states(0), kept.states(kept.per_view))


@pytest.mark.usefixtures("small_files")
def test_what_is_kept_is_not_computed_again(data: Path, base: Path, tmp_path: Path) -> None:
    few, _ = open_small(data, base, tmp_path, 10)
    folder = next((tmp_path / "states").iterdir())
    assert len(few.spoken) == SMALL_FILE
    first = (folder / "00000.npy").stat().st_mtime_ns
    whole, _ = open_small(data, base, tmp_path)
    assert len(whole.spoken) > len(few.spoken)
    assert (folder / "00000.npy").stat().st_mtime_ns == first
    content = (folder / "00001.npy").read_bytes()
    (folder / "00001.json").unlink()  # as a kill leaves it
    open_small(data, base, tmp_path)
    assert (folder / "00001.npy").read_bytes() == content
    other = ClipMaker(data / "manifest.jsonl", tmp_path, 80, VIEW, 1).folder("another encoder")
    assert other != folder


def test_a_run_keeps_no_more_than_it_draws_and_has_room_for(data: Path, tmp_path: Path) -> None:
    maker = ClipMaker(data / "manifest.jsonl", tmp_path, 80, VIEW, 4)
    everything = len(maker.order)
    assert count_clips([maker], [1.0], 10**9, 32, 10.0) == [everything]
    short = count_clips([maker, maker], [1.0, 0.5], int(30 * maker.mean_frames), 32, 10.0)
    assert short[0] == pytest.approx(20, abs=2)
    assert short[1] == pytest.approx(10, abs=2)
    size_gb = everything * maker.mean_frames * 32 / 1e9
    assert count_clips([maker], [1.0], 10**9, 32, size_gb / 2) == [pytest.approx(everything / 2, abs=1)]


def test_train_export_transcribe(data: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = recipe(name="child", base="tones", method="frozen-encoder", loss=Loss(distil=0.5, guide_start=0.2))
    train(plan, data, base, tmp_path)
    assert "encoder states of" in capsys.readouterr().err
    before, after = (load_file(folder / WEIGHTS) for folder in (base, tmp_path / "run" / EXPORT))
    changed = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert changed
    assert not any(".encoder." in name for name in changed)
    engine = load_engine(tmp_path / "run" / EXPORT, "child", cache=tmp_path / "engines")
    audio = read_audio(data / "audio" / "0.wav")
    heard = engine.decode([Clip(audio.samples, Segment(0, audio.duration_ms))], DecodeOptions(language="en"))
    assert len(heard) == 1


@pytest.mark.slow
def test_two_processes_keep_and_share(data: Path, base: Path, tmp_path: Path) -> None:
    from medstt.cli.follow import no_report

    plan = PLAN.model_copy(update={"processes": 2, "steps": 3, "views": 4})
    where = Places(data, tmp_path / "cache", tmp_path / "run")
    model, _ = run(plan, where, base, jobs=2, report=no_report)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights(data: Path, base: Path, tmp_path: Path) -> None:
    whole = train(PLAN, data, base, tmp_path / "whole")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "script.py").write_text(SCRIPT)
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    call = [sys.executable, str(broken / "script.py"), here, str(data), str(base), str(broken)]
    states = lambda: any(broken.glob("cache/states/*/00000.json"))  # noqa: E731
    for ready in (states, (broken / "run" / CHECKPOINT).exists):
        child = subprocess.Popen(call, env={**os.environ, "PYTHONPATH": path})
        deadline = time.monotonic() + 300
        while not ready() and child.poll() is None and time.monotonic() < deadline:
            os.sched_yield()
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (broken / "run" / EXPORT / WEIGHTS).exists()
    assert train(PLAN, data, base, broken) == whole


def test_kept_states_make_steps_cheaper(data: Path, base: Path, tmp_path: Path) -> None:
    seconds = {}
    for views in (1, 0):
        plan = PLAN.model_copy(update={"views": views, "steps": 10})
        train(plan, data, base, tmp_path / str(views))
        seconds[views] = [row["seconds_per_step"] for row in read_log(tmp_path / str(views) / "run" / LOG)][-1]
    print(f"seconds a step: {seconds[1]:.4f} on kept states, {seconds[0]:.4f} without")


@pytest.mark.parametrize("method", ["full", "lora", "frozen-encoder"])
@pytest.mark.parametrize("weight", [0.1, 0.0])
def test_the_exported_head_fits_the_encoder(data: Path, base: Path, tmp_path: Path, method: str, weight: float) -> None:
    loss = Loss(ctc_start=weight, ctc_end=weight)
    train(recipe(name="child", base="tones", method=method, loss=loss, steps=4, lora_rank=2), data, base, tmp_path)
    before, after = (load_file(folder / HEAD) for folder in (base, tmp_path / "run" / EXPORT))
    kept = all(torch.equal(before[name], after[name]) for name in before)
    assert kept is (method == "frozen-encoder")  # else it went with its encoder, even where it had no weight
    ctc = [row["ctc"] for row in read_log(tmp_path / "run" / LOG)][-1]
    assert (ctc > 0) is (method != "frozen-encoder")


def test_a_head_goes_as_far_as_merged_adapters_go(base: Path) -> None:
    first, trained = CtcHead(32), CtcHead(32)
    assert load_head(first, base)
    trained.load_state_dict({name: weight + 1 for name, weight in first.state_dict().items()})
    scale_head(trained, base, 0.5)
    for name, weight in trained.state_dict().items():
        assert torch.allclose(weight, first.state_dict()[name] + 0.5)


@pytest.mark.parametrize("method", ["full", "frozen-encoder"])
def test_a_base_without_a_head_gets_none_that_hears_nothing(
    data: Path, base: Path, tmp_path: Path, method: str
) -> None:
    stock = tmp_path / "stock"
    model = WhisperForConditionalGeneration.from_pretrained(base).float()
    export_model(model, WhisperTokenizerFast.from_pretrained(base), stock)
    plan = recipe(name="child", base="stock", method=method, steps=2)
    train(plan, data, stock, tmp_path)
    assert not (tmp_path / "run" / EXPORT / HEAD).exists()
    with pytest.raises(OptionError, match="nothing but 30 s"):
        train(PLAN.model_copy(update={"loss": Loss(distil=0.1)}), data, stock, tmp_path / "distil")


def test_augmentation_that_begins_later_needs_fresh_states(data: Path, base: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="augment_from = 3"):
        train(PLAN.model_copy(update={"augment_from": 3}), data, base, tmp_path)
    where = Places(data, tmp_path / "cache", tmp_path / "new")
    with pytest.raises(OptionError, match="needs a model to start from"):
        run(recipe(method="frozen-encoder"), where, None, jobs=1, report=quiet)
