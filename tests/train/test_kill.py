"""Kill -9 during training, export and registration: the same command goes on, and what was registered is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_set import make_set

from medstt.errors import DataError
from medstt.registry import ModelStore
from medstt.train.export import WEIGHTS
from medstt.train.finish import finish, make_card
from medstt.train.loop import CHECKPOINT
from medstt.train.recipe import DataSource, Recipe, Shape
from medstt.train.run import EXPORT, Places, run

TINY = Shape(
    d_model=32, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
    decoder_attention_heads=2, decoder_ffn_dim=64, vocabulary=300,
)  # fmt: skip
PLAN = Recipe.model_validate({
    "name": "tones", "steps": 40, "warmup": 2, "frames": 600, "checkpoint_steps": 5, "shape": TINY, "dropout": 0.1,
    "train": [DataSource(manifest="manifest.jsonl")],
})  # fmt: skip
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_kill import carry_out
if __name__ == "__main__":
    for _ in range(int(sys.argv[4])):
        carry_out(Path(sys.argv[2]), Path(sys.argv[3]))
"""


def quiet(row: dict[str, float]) -> None:
    """Take a report and print nothing."""


def carry_out(data: Path, folder: Path) -> str:
    """Train, export and register: what `medstt train` does."""
    where = Places(data, data / "cache", folder / "run")
    model, tokenizer = run(PLAN, where, None, jobs=1, report=quiet)
    store = ModelStore(folder / "models")
    registered = finish(model, tokenizer, make_card(PLAN, where, None, {}), where.run / EXPORT, store)
    assert registered is not None
    return registered.label


def kill_when(ready: Callable[[], bool], data: Path, folder: Path, times: int) -> None:
    """Carry out the plan in a process of its own and kill it as soon as ``ready``."""
    folder.mkdir(exist_ok=True)
    (folder / "script.py").write_text(SCRIPT)
    call = [sys.executable, str(folder / "script.py"), str(Path(__file__).parent), str(data), str(folder), str(times)]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(call, env={**os.environ, "PYTHONPATH": path})
    deadline = time.monotonic() + 300
    while not ready() and child.poll() is None and time.monotonic() < deadline:
        os.sched_yield()
    child.send_signal(signal.SIGKILL)
    child.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("tones")).parent


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    carry_out(data, folder)
    return (folder / "run" / EXPORT / WEIGHTS).read_bytes()


def test_training_goes_on_to_the_same_weights(data: Path, whole: bytes, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / CHECKPOINT
    kill_when(checkpoint.exists, data, tmp_path, 1)
    assert not (tmp_path / "models").exists()
    assert 0 < int(torch.load(checkpoint, weights_only=True)["step"]) < PLAN.steps
    assert carry_out(data, tmp_path) == "tones@1"
    assert (tmp_path / "run" / EXPORT / WEIGHTS).read_bytes() == whole


@pytest.mark.slow
def test_export_and_registration_leave_whole_versions(data: Path, whole: bytes, tmp_path: Path) -> None:
    weights, versions = tmp_path / "run" / EXPORT / WEIGHTS, tmp_path / "models" / "tones"
    partial = lambda: versions.is_dir() and any(path.name.endswith(".partial") for path in versions.iterdir())  # noqa: E731
    for ready in (weights.exists, partial, (versions / "1").exists):
        kill_when(ready, data, tmp_path, 3)
        store = ModelStore(tmp_path / "models")
        for model in store.models():
            store.verify(model.name, model.version)
    label = carry_out(data, tmp_path)
    store = ModelStore(tmp_path / "models")
    assert store.verify(*label.split("@"))
    assert (store.show(*label.split("@")).path / WEIGHTS).read_bytes() == whole


def test_another_recipes_run_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    where = Places(data, data / "cache", tmp_path / "run")
    run(PLAN.model_copy(update={"steps": 1}), where, None, jobs=1, report=quiet)
    assert json.loads((where.run / "run.json").read_text())["name"] == "tones"
    run(PLAN.model_copy(update={"steps": 2}), where, None, jobs=1, report=quiet)  # more steps of the same are
    for other in (
        {"name": "other"},
        {"method": "lora", "base": "tones"},
        {"shape": TINY.model_copy(update={"d_model": 64})},
    ):
        with pytest.raises(DataError, match="holds a run with another"):
            run(PLAN.model_copy(update=other), where, None, jobs=1, report=quiet)
