"""The audit of dependencies, against a real HTTP server and against none: it never passes without having checked."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADVISORY = {"id": "PYSEC-1", "fixed_in": ["2.0"], "withdrawn": None}
KNOWN = {
    "/pypi/sound/1.0/json": [],
    "/pypi/holed/1.0/json": [ADVISORY],
    "/pypi/cleared/1.0/json": [ADVISORY | {"withdrawn": "2026-01-01T00:00:00Z"}],
}


class Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in KNOWN:
            body = json.dumps({"vulnerabilities": KNOWN[self.path]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def audit(index: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "audit"), "--index", index, str(file)]
    return subprocess.run(command, capture_output=True, text=True, env={"NO_PROXY": "*"}, check=False)


@pytest.mark.parametrize(
    ("pins", "code", "told"),
    [
        ("sound==1.0\ncleared==1.0+cpu  # note\n", 0, "2 of 2 packages checked, 0 vulnerable"),
        ("sound==1.0\nholed==1.0\n", 1, "holed 1.0: PYSEC-1 (mended in 2.0)"),
        ("sound==1.0\nunheard==1.0\n", 2, "not everything could be checked"),
        ("# nothing\n", 2, "nothing could be checked"),
        ("sound>=1.0\n", 1, "'sound>=1.0' is not NAME==VERSION"),
    ],
)
def test_it_passes_only_when_everything_was_checked(
    index: str, tmp_path: Path, pins: str, code: int, told: str
) -> None:
    (tmp_path / "pins.txt").write_text(pins)
    found = audit(index, tmp_path / "pins.txt")
    assert (found.returncode, told in found.stdout + found.stderr) == (code, True), found


def test_an_index_that_cannot_be_reached_fails_and_says_so() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        closed = f"http://127.0.0.1:{server.server_port}"
    found = audit(closed, ROOT / "constraints.txt")
    assert found.returncode == 2
    assert f"nothing could be checked: run it where {closed} can be reached" in found.stderr
    assert "0 of " in found.stdout
