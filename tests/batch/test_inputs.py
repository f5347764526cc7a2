from __future__ import annotations

from pathlib import Path

import pytest

from medstt.batch.inputs import find_recordings, name_outputs


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.wav", "a.mp3", "b.WAV", "notes.txt", ".hidden.wav", "sub/a.wav", "sub/deep/c.ds2", ".git/x.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def labels(*arguments: str) -> list[str]:
    return [recording.label for recording in find_recordings(arguments)[0]]


def test_files_folders_and_patterns_each_once(tree: Path) -> None:
    assert labels("a.wav", "./a.wav", "*.wav") == ["a.wav"]
    assert labels("sub") == ["sub/a.wav", "sub/deep/c.ds2"]
    assert labels("**/a.*") == ["a.mp3", "a.wav", "sub/a.wav"]
    assert labels(".") == ["a.mp3", "a.wav", "b.WAV", "sub/a.wav", "sub/deep/c.ds2"]
    assert labels("notes.txt") == ["notes.txt"]


def test_what_means_nothing_is_an_error_and_what_is_gone_a_recording(tree: Path) -> None:
    (tree / "empty").mkdir()
    recordings, errors = find_recordings(["empty", "*.opus", "gone.wav"])
    assert [recording.label for recording in recordings] == ["gone.wav"]
    assert "empty: holds no recording" in str(errors[0])
    assert "*.opus: matches no file" in str(errors[1])


def test_a_name_with_pattern_characters_is_a_file_if_it_exists(tree: Path) -> None:
    (tree / "visit [1].wav").write_bytes(b"")
    assert labels("visit [1].wav") == ["visit [1].wav"]


def test_no_two_outputs_share_a_name(tree: Path) -> None:
    recordings, _ = find_recordings([".", "sub/a.wav"])
    names = name_outputs(recordings, {})
    assert [names[recording] for recording in recordings] == ["a.mp3", "a.wav", "b", "sub/a", "sub/deep/c"]
    both, _ = find_recordings(["a.wav", "sub/a.wav"])
    assert list(name_outputs(both, {}).values()) == ["a.wav", "a.wav-2"]


def test_names_stay_the_same_from_run_to_run(tree: Path) -> None:
    first, _ = find_recordings(["a.wav"])
    known = {name: recording.source for recording, name in name_outputs(first, {}).items()}
    assert list(known) == ["a"]
    later, _ = find_recordings(["a.mp3", "a.wav"])
    assert list(name_outputs(later, known).values()) == ["a.mp3", "a"]
    alone, _ = find_recordings(["a.mp3"])
    assert list(name_outputs(alone, known).values()) == ["a.mp3"]
