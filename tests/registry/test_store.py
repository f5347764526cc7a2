from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medstt.disk import naming_disk_errors
from medstt.errors import (
    ConflictError,
    CorruptModel,
    NotFoundError,
    NotPromotable,
    OptionError,
    ResourceError,
    UnknownModel,
)
from medstt.registry import Card, ModelStore, Verdict, verify_files


def make_source(folder: Path, weight: bytes = b"w" * 4096) -> Path:
    (folder / "extra").mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    (folder / "model.safetensors").write_bytes(weight)
    (folder / "extra" / "tokenizer.json").write_text("{}")
    return folder


CARD = Card("clinic", languages=("en", "de"), audio_context="dynamic", parent="medstt-mini@1", data=("d1",))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def add(store: ModelStore, tmp_path: Path, weight: bytes) -> str:
    return store.add(make_source(tmp_path / f"src-{weight.hex()}", weight), CARD).version


def passed(store: ModelStore, version: str, against: str | None = None) -> Verdict:
    digest = store.show("clinic", version).digest
    verdict = Verdict(True, digest, "2026-01-01T00:00:00Z", against, ("all margins kept",), "gate-1")
    store.record_verdict("clinic", version, verdict)
    return verdict


def test_added_version_is_whole_verified_and_listed(store: ModelStore, tmp_path: Path) -> None:
    model = store.add(make_source(tmp_path / "src"), CARD)
    assert (model.label, model.card.parent, model.aliases) == ("clinic@1", "medstt-mini@1", ())
    assert (model.path / "extra" / "tokenizer.json").is_file()
    assert store.verify("clinic", "1") == model.digest
    assert [found.label for found in store.models()] == ["clinic@1"]
    assert model.as_version().data == ("d1",)
    assert model.card.created.endswith("Z")


def test_adding_the_same_files_again_gives_the_same_version(store: ModelStore, tmp_path: Path) -> None:
    first = store.add(make_source(tmp_path / "src"), CARD)
    assert store.add(tmp_path / "src", CARD).label == first.label
    changed = store.add(tmp_path / "src", Card("clinic", audio_context="full"))
    assert changed.version == "2"
    assert changed.digest != first.digest


def test_versions_are_never_overwritten_and_sort_by_number(store: ModelStore, tmp_path: Path) -> None:
    source = make_source(tmp_path / "src")
    for version in ("2", "10", "2026-rc"):
        store.add(source, CARD, version)
    assert store.versions("clinic") == ["2", "10", "2026-rc"]
    with pytest.raises(ConflictError, match="exists"):
        store.add(source, CARD, "10")


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a@b", "a:b", "x" * 101])
def test_names_that_could_leave_the_store_are_refused(store: ModelStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError):
        store.add(make_source(tmp_path / "src"), Card(name))


@pytest.mark.parametrize("damage", ["flip", "missing", "extra", "card", "digests"])
def test_any_damage_is_found_and_named(store: ModelStore, tmp_path: Path, damage: str) -> None:
    path = store.add(make_source(tmp_path / "src"), CARD).path
    weights = path / "model.safetensors"
    if damage == "flip":
        weights.write_bytes(b"x" + weights.read_bytes()[1:])
    elif damage == "missing":
        weights.unlink()
    elif damage == "extra":
        (path / "model.safetensors.old").write_bytes(b"")
    elif damage == "card":
        card = json.loads((path / "card.json").read_text())
        (path / "card.json").write_text(json.dumps({**card, "audio_context": "full"}))
    else:
        (path / "digests.json").write_text("[]")
    with pytest.raises(CorruptModel, match=r"safetensors|card\.json|digests\.json"):
        verify_files(path)


def test_first_promotion_needs_a_recorded_pass(store: ModelStore, tmp_path: Path) -> None:
    add(store, tmp_path, b"1")
    with pytest.raises(NotPromotable, match="no recorded verdict"):
        store.promote("clinic", "1")
    refused = Verdict(False, store.show("clinic", "1").digest, "2026-01-01T00:00:00Z", reasons=("negation lost",))
    store.record_verdict("clinic", "1", refused)
    with pytest.raises(NotPromotable, match="negation lost"):
        store.promote("clinic", "1")
    passed(store, "1")
    event = store.promote("clinic", "1")
    assert (event.version, event.previous, event.forced) == ("1", None, False)
    assert store.show("clinic", "1").aliases == ("champion",)
    assert store.promote("clinic", "1") == event
    assert len(store.history("clinic")) == 1


def test_a_pass_for_other_files_or_an_old_champion_does_not_count(store: ModelStore, tmp_path: Path) -> None:
    for weight in (b"1", b"2", b"3"):
        add(store, tmp_path, weight)
    verdict = passed(store, "1")
    store.promote("clinic", "1")
    store.record_verdict("clinic", "2", verdict)
    with pytest.raises(NotPromotable, match="other files"):
        store.promote("clinic", "2")
    passed(store, "2", "clinic@1")
    passed(store, "3", "clinic@1")
    store.promote("clinic", "2")
    with pytest.raises(NotPromotable, match="champion is now clinic@2"):
        store.promote("clinic", "3")


def test_forcing_needs_a_reason_and_is_recorded(store: ModelStore, tmp_path: Path) -> None:
    add(store, tmp_path, b"1")
    with pytest.raises(OptionError, match="reason"):
        store.promote("clinic", "1", force=True)
    event = store.promote("clinic", "1", force=True, why="pilot on one ward")
    assert event.forced
    assert event.at.endswith("Z")
    assert store.history("clinic")[-1].why == "pilot on one ward"


def test_rollback_walks_back_and_ends(store: ModelStore, tmp_path: Path) -> None:
    for weight in (b"1", b"2", b"3"):
        store.promote("clinic", add(store, tmp_path, weight), force=True, why="test")
    assert store.rollback("clinic", "too many alerts").version == "2"
    assert store.rollback("clinic").version == "1"
    with pytest.raises(NotFoundError, match="no earlier champion"):
        store.rollback("clinic")
    assert [event.action for event in store.history("clinic")] == ["promote"] * 3 + ["rollback"] * 2


def test_remove_refuses_what_an_alias_points_to(store: ModelStore, tmp_path: Path) -> None:
    for weight in (b"1", b"2"):
        add(store, tmp_path, weight)
    store.alias("clinic", "challenger", "2")
    with pytest.raises(ConflictError, match="challenger"):
        store.remove("clinic", "2")
    store.remove("clinic", "1")
    assert store.versions("clinic") == ["2"]
    with pytest.raises(NotPromotable, match="promote"):
        store.alias("clinic", "champion", "2")


def test_export_is_a_verified_copy(store: ModelStore, tmp_path: Path) -> None:
    model = store.add(make_source(tmp_path / "src"), CARD)
    copy = store.export("clinic", "1", tmp_path / "out" / "copy")
    assert verify_files(copy) == model.digest
    with pytest.raises(ConflictError, match="not empty"):
        store.export("clinic", "1", copy)
    (model.path / "config.json").write_text("{}")
    with pytest.raises(CorruptModel):
        store.export("clinic", "1", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_card_keeps_keys_it_does_not_know(store: ModelStore, tmp_path: Path) -> None:
    card = Card("clinic", extra={"alignment_heads": [[1, 2]], "hospital": "St. Anna"})
    store.add(make_source(tmp_path / "src"), card)
    passed(store, "1")
    assert store.show("clinic", "1").card.extra == card.extra


def test_unknown_version_and_damaged_aliases_are_named(store: ModelStore, tmp_path: Path) -> None:
    add(store, tmp_path, b"1")
    with pytest.raises(UnknownModel, match="versions of clinic: 1"):
        store.show("clinic", "7")
    (store.root / "clinic" / "aliases.json").write_text("{")
    with pytest.raises(CorruptModel, match=r"aliases\.json"):
        store.aliases("clinic")


def test_full_disk_and_read_only_folder_say_what_to_do() -> None:
    for number, text in (
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "Choose a folder"),
        (errno.EIO, "Check the disk"),
    ):
        with pytest.raises(ResourceError, match=text), naming_disk_errors(Path("/somewhere")):
            raise OSError(number, os.strerror(number))


ADD_FOREVER = """
import sys
from pathlib import Path
from medstt.registry import Card, ModelStore
store = ModelStore(Path(sys.argv[1]))
print("ready", flush=True)
number = 0
while True:
    number += 1
    Path(sys.argv[2], "model.safetensors").write_bytes(number.to_bytes(4, "big") * 200_000)
    store.add(Path(sys.argv[2]), Card("clinic"))
    store.promote("clinic", store.versions("clinic")[-1], force=True, why="kill test")
"""


def test_kill_at_any_point_leaves_whole_versions_and_a_readable_alias(store: ModelStore, tmp_path: Path) -> None:
    source = make_source(tmp_path / "src")
    for attempt in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", ADD_FOREVER, str(store.root), str(source)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 30
        wanted = len(store.versions("clinic")) + 1 + attempt
        while len(store.versions("clinic")) < wanted and time.monotonic() < deadline:
            os.sched_yield()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        for model in store.models():
            store.verify(model.name, model.version)
        assert store.aliases("clinic").get("champion", "1") in store.versions("clinic")
    store.add(make_source(tmp_path / "last", b"last"), CARD)
    assert not list((store.root / "clinic").glob(".*.partial"))
