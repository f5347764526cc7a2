from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import SPEECH, Medstt

from medstt.registry import ModelStore, Verdict, read_card, verify_files


@pytest.fixture
def store(fresh_home: Path, tiny_model: Path) -> ModelStore:
    """A store with two versions of one name."""
    store = ModelStore(fresh_home / "models")
    for version in ("1", "2"):
        store.add(tiny_model, read_card(tiny_model), version)
    return store


def test_list_and_show(medstt: Medstt, store: ModelStore) -> None:
    assert [line.split()[0] for line in medstt("models", "list").out.splitlines()][-2:] == ["tiny@1", "tiny@2"]
    rows = json.loads(medstt("models", "list", "--json").out)["registered"]
    assert [(row["name"], row["version"], row["aliases"]) for row in rows] == [("tiny", "1", []), ("tiny", "2", [])]
    shown = json.loads(medstt("models", "show", "tiny@1", "--json").out)
    assert shown["card"]["languages"] == ["en", "de"]
    assert "digest" in medstt("models", "show", "tiny").out


def test_promote_needs_a_pass_or_force_with_a_reason_and_rollback_undoes_it(medstt: Medstt, store: ModelStore) -> None:
    refused = medstt("models", "promote", "tiny@1")
    assert refused.code == 1
    assert "no recorded verdict" in refused.err
    assert refused.err.count("\n") == 1
    assert medstt("models", "promote", "tiny@1", "--force").code == 1
    store.record_verdict("tiny", "1", Verdict(True, store.show("tiny", "1").digest, "2026-01-01T00:00:00Z"))
    assert "tiny@1 is the champion" in medstt("models", "promote", "tiny@1").out
    assert "(forced, recorded)" in medstt("models", "promote", "tiny@2", "--force", "--why", "pilot").out
    assert "forced: pilot" in medstt("models", "show", "tiny@2").out
    assert medstt("models", "rollback", "tiny").out == "tiny@1 is the champion; before: 2\n"


def test_transcribe_with_the_champion(medstt: Medstt, store: ModelStore) -> None:
    store.promote("tiny", "2", force=True, why="test")
    result = medstt("transcribe", SPEECH, "--model", "champion", "--format", "json")
    assert json.loads(result.out)["model"] == {"name": "tiny@2", "digest": store.show("tiny", "2").digest}


def test_a_verdict_does_not_change_what_the_model_is(medstt: Medstt, store: ModelStore) -> None:
    arguments = ["transcribe", SPEECH, "--model", "tiny@1", "--format", "json"]
    before = json.loads(medstt(*arguments).out)["model"]
    store.record_verdict("tiny", "1", Verdict(True, before["digest"], "2026-01-01T00:00:00Z"))
    assert json.loads(medstt(*arguments).out)["model"] == before


def test_export_verify_remove(medstt: Medstt, store: ModelStore, tmp_path: Path) -> None:
    assert medstt("models", "verify", "tiny@1").code == 0
    assert medstt("models", "export", "tiny@1", "--out", tmp_path / "copy").code == 0
    assert verify_files(tmp_path / "copy") == store.show("tiny", "1").digest
    (store.root / "tiny" / "2" / "model.safetensors").write_bytes(b"")
    damaged = medstt("models", "verify")
    assert damaged.code == 1
    assert "tiny@1: ok" in damaged.out
    assert "tiny@2" in damaged.err
    assert "names no version" in medstt("models", "remove", "tiny").err
    assert medstt("models", "remove", "tiny@2").code == 0
    assert store.versions("tiny") == ["1"]
    assert "There is no model 'nosuch'" in medstt("models", "show", "nosuch").err
    assert "No version of 'nosuch'" in medstt("models", "promote", "nosuch").err


def test_packed_export_is_half_the_size_and_says_the_same(medstt: Medstt, store: ModelStore, tmp_path: Path) -> None:
    packed, whole = tmp_path / "packed", tmp_path / "whole"
    assert medstt("models", "export", "tiny@1", "--packed", "--out", packed).code == 0
    assert medstt("models", "export", packed, "--out", whole).code == 0
    assert not (packed / "model.safetensors").exists()
    assert (whole / "model.safetensors").is_file()
    assert medstt("models", "verify", packed, whole).out.count(": ok") == 2
    assert json.loads(medstt("models", "show", packed, "--json").out)["digest"] == verify_files(packed)
    texts = [medstt("transcribe", SPEECH, "--model", model).out for model in ("tiny@1", packed, whole)]
    assert texts[0]
    assert len(set(texts)) == 1


def test_show_and_verify_what_ships_with_the_package(medstt: Medstt, fresh_home: Path) -> None:
    shown = json.loads(medstt("models", "show", "medstt-mini", "--json").out)
    assert (shown["name"], shown["version"]) == ("medstt-mini", None)
    assert shown["digest"] in medstt("models", "verify").out
