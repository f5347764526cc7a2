"""Runs and versions in MLflow, on a real SQLite file; a server that does not answer changes nothing here."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from medstt.errors import DataError, StoreUnavailable
from medstt.registry import Card, ModelStore
from medstt.registry.mlflow import (
    DIGEST_TAG,
    EXPERIMENT,
    default_uri,
    mirror,
    open_client,
    read_metrics,
    record_run,
    without_password,
)  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an initialised database to copy, as initialising one takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    with open_client(default_uri(folder)) as client:
        client.create_experiment(EXPERIMENT)
    return folder / "mlflow.db"


def make_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    values = {"name": "tones", "loss": {"distil": 0.5}, "summary": "x" * 900}
    result = {"recipe": "r" * 64, "data": ["a b"], "parent": None, "version": "tones@1", "digest": "d" * 64}
    (folder / "result.json").write_text(json.dumps({**result, "recipe_values": values}))
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}, {"step": 2, "loss": 1.0, "dev0 en (x)": 0.5}]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 3, "lo')
    return folder


def make_store(folder: Path) -> ModelStore:
    source = folder / "source"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"weights")
    (source / "config.json").write_text("{}")
    store = ModelStore(folder / "models")
    store.add(source, Card("tones", summary="tones", parent="base@1", recipe="r" * 64, data=("a b",)))
    store.promote("tones", "1", force=True, why="a test")
    return store


def test_runs_and_versions_are_mirrored_once(tmp_path: Path, template: Path) -> None:
    shutil.copy(template, tmp_path / "mlflow.db")
    uri, store, run = default_uri(tmp_path), make_store(tmp_path), make_run(tmp_path / "runs" / "tones")
    assert mirror(store, tmp_path / "runs", uri) == (["tones"], ["tones@1"])
    assert mirror(store, tmp_path / "runs", uri) == ([], [])
    with open_client(uri) as client:
        kept = client.get_run(record_run(run, uri))
        assert kept.data.params["loss.distil"] == "0.5"
        assert kept.data.metrics["loss"] == 1.0
        assert kept.data.metrics["dev0 en _x_"] == 0.5
        assert [point.step for point in client.get_metric_history(kept.info.run_id, "loss")] == [1, 2]
        version = client.get_model_version_by_alias("tones", "champion")
        assert version.tags[DIGEST_TAG] == store.show("tones", "1").digest
        assert version.tags["medstt.parent"] == "base@1"


def test_a_server_that_does_not_answer_is_named_and_later_caught_up_with(tmp_path: Path, template: Path) -> None:
    store, run = make_store(tmp_path), make_run(tmp_path / "runs" / "tones")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        uri = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match=r"user:\*\*\*@127\.0\.0\.1.*medstt models mirror") as caught:
            record_run(run, uri)
        assert "secret" not in str(caught.value)
    assert store.versions("tones") == ["1"]
    shutil.copy(template, tmp_path / "mlflow.db")
    assert mirror(store, tmp_path / "runs", default_uri(tmp_path)) == (["tones"], ["tones@1"])


def test_an_unfinished_run_and_a_strange_address_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished run"):
        record_run(tmp_path, default_uri(tmp_path))
    with pytest.raises(StoreUnavailable):
        record_run(make_run(tmp_path / "run"), "nothing://here")
    assert without_password("postgresql://a:b@c/d") == "postgresql://a:***@c/d"
    assert read_metrics(tmp_path / "none") == []
