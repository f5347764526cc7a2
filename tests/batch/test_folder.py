from __future__ import annotations

import os
from pathlib import Path

import pytest

from medstt.batch.folder import OutputFolder
from medstt.errors import ConflictError, DataError, ResourceError

BOTH = {"txt": b"text\n", "json": b"{}\n"}


def commit(folder: OutputFolder, key: str = "k1", name: str = "a") -> None:
    folder.commit(key, f"/in/{name}.wav", name, BOTH, 1000)


def test_results_appear_whole_and_are_remembered(tmp_path: Path) -> None:
    with OutputFolder(tmp_path / "out") as folder:
        commit(folder, name="sub/a")
    assert (tmp_path / "out/sub/a.txt").read_bytes() == b"text\n"
    with OutputFolder(tmp_path / "out") as folder:
        assert folder.done(("txt", "json")) == {"k1"}
        assert folder.done(("txt", "srt")) == set()
        assert folder.names == {"sub/a": "/in/sub/a.wav"}


def test_a_result_that_was_deleted_is_not_done_and_one_edited_by_hand_is(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        commit(folder)
        (tmp_path / "a.txt").write_text("corrected")
        assert folder.done(("txt",)) == {"k1"}
        (tmp_path / "a.txt").unlink()
        assert folder.done(("txt",)) == set()
        assert folder.done(("json",)) == {"k1"}


def test_another_format_joins_those_that_are_there(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        commit(folder)
        folder.commit("k1", "/in/a.wav", "a", {"srt": b"1\n"}, 1000)
    with OutputFolder(tmp_path) as folder:
        assert folder.done(("txt", "json", "srt")) == {"k1"}


def test_kill_between_ledger_and_rename_is_finished_by_the_next_start(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        commit(folder)
    (tmp_path / "a.txt").rename(tmp_path / ".medstt/partial/k1.txt")
    with OutputFolder(tmp_path) as folder:
        assert (tmp_path / "a.txt").read_bytes() == b"text\n"
        assert folder.done(("txt", "json")) == {"k1"}


def test_kill_before_the_ledger_leaves_nothing(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        commit(folder)
    (tmp_path / ".medstt/partial/k2.txt").write_text("half")
    with (tmp_path / ".medstt/ledger.jsonl").open("a") as ledger:
        ledger.write('{"key": "k2", "sou')
    with OutputFolder(tmp_path) as folder:
        assert folder.done(("txt",)) == {"k1"}
        commit(folder, "k2", "b")
    with OutputFolder(tmp_path) as folder:
        assert folder.done(("txt", "json")) == {"k1", "k2"}
        assert not list((tmp_path / ".medstt/partial").iterdir())


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with OutputFolder(tmp_path), pytest.raises(ConflictError, match="another run"), OutputFolder(tmp_path):
        pass
    with OutputFolder(tmp_path):
        pass


def test_damaged_ledger_names_the_line(tmp_path: Path) -> None:
    (tmp_path / ".medstt").mkdir()
    (tmp_path / ".medstt/ledger.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"ledger\.jsonl:1"), OutputFolder(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="Choose a folder"), OutputFolder(tmp_path / "file"):
        pass
    with pytest.raises(ResourceError, match="Choose a folder"), OutputFolder(Path("/proc/nowhere")):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_no_result_and_no_half_line(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        commit(folder)
        before = (tmp_path / ".medstt/ledger.jsonl").read_bytes()
        os.symlink("/dev/full", tmp_path / ".medstt/partial/k2.txt")
        with pytest.raises(ResourceError, match=r"b\.txt: the disk is full"):
            commit(folder, "k2", "b")
        assert (tmp_path / ".medstt/ledger.jsonl").read_bytes() == before
        assert not (tmp_path / "b.txt").exists()
        assert folder.done(("txt",)) == {"k1"}
