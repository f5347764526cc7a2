"""The program itself: first start, a request, keys and audit from the command line, a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def program(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDSTT_")}
    environment |= {"MEDSTT_HOME": str(home), "MEDSTT_ENGINE": "fake", "MEDSTT_PORT": "0", "MEDSTT_PRELOAD": "false"}
    process = subprocess.Popen(
        [sys.executable, "-m", "medstt", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run(home: Path, *arguments: str) -> tuple[int, str, str]:
    with program(home, *arguments) as process:
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err


def test_serve_from_first_start_to_a_clean_end(tmp_path: Path) -> None:
    with program(tmp_path, "serve") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("admin key: medstt_")
        listening = next(json.loads(one) for one in process.stderr if '"listening"' in one)
        url = f"http://127.0.0.1:{listening['port']}"
        headers = {"Authorization": f"Bearer {line.split()[-1]}"}
        assert httpx.get(f"{url}/v1/me", headers=headers, timeout=60).json()["role"] == "admin"
        assert httpx.get(f"{url}/readyz", timeout=60).json()["ready"] is True
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "admin key" not in out
    assert run(tmp_path, "keys", "list")[1].count("valid") == 1
    code, out, _ = run(tmp_path, "audit", "verify")
    assert (code, out.split(";")[0]) == (0, "main: intact")
    code, _, err = run(tmp_path, "serve", "--port", "99999")
    assert code == 1
    assert "port" in err
