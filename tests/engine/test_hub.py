from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medstt.engine.hub import fetch
from medstt.errors import OptionError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("config.json", "tokenizer.json", "model.safetensors")


def lay_out(cache: Path, repo: str = "openai/whisper-small", files: tuple[str, ...] = FILES) -> Path:
    """Write a repository as the hub's cache keeps it."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    for name in files:
        (root / "blobs" / name).write_text("{}")
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_fetch_finds_a_cached_model_without_network(tmp_path: Path, revision: str | None) -> None:
    snapshot = lay_out(tmp_path)
    assert fetch("openai/whisper-small", revision, cache=tmp_path) == snapshot


def test_fetch_refuses_an_impossible_name(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="owner/name"):
        fetch("what/is/this", cache=tmp_path)


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
@pytest.mark.parametrize("files", [(), ("config.json",)], ids=["absent", "incomplete"])
def test_fetch_says_what_to_do_without_network(
    tmp_path: Path, environment: dict[str, str], files: tuple[str, ...]
) -> None:
    if files:
        lay_out(tmp_path, files=files)
    program = (
        "from pathlib import Path; from medstt.engine.hub import fetch; "
        f"fetch('openai/whisper-small', cache=Path({str(tmp_path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("medstt.errors.ModelUnavailable: openai/whisper-small is not in")
    assert "hf download openai/whisper-small" in last
    assert str(tmp_path / "models--openai--whisper-small") in last
