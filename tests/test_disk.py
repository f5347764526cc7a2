from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from medstt.disk import locked_file, naming_disk_errors, new_folder, write_atomically
from medstt.errors import ConflictError, ResourceError


def test_a_held_lock_is_a_conflict_and_a_released_one_is_free(tmp_path: Path) -> None:
    def hold() -> None:
        with locked_file(tmp_path / "lock", 0):
            pass

    with locked_file(tmp_path / "lock", 0), pytest.raises(ConflictError, match="changed by another process"):
        hold()
    hold()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def stop_half_way() -> None:
        with new_folder(tmp_path / "made") as staging:
            (staging / "half").write_text("1")
            raise KeyError

    with pytest.raises(KeyError):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "made").mkdir()
    with new_folder(tmp_path / "made") as staging:
        (staging / "whole").write_text("1")
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "whole"]
    with pytest.raises(ConflictError, match="not empty"), new_folder(tmp_path / "made"):
        pass


def test_a_full_disk_is_named_and_the_old_file_stands(tmp_path: Path) -> None:
    full = pytest.raises(ResourceError, match=r"report\.txt: the disk is full\. Free some space")
    with full, naming_disk_errors(tmp_path / "report.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match="cannot be written"):
        write_atomically(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
