"""A page as a picture, drawn by the Chromium that is installed. Knows nothing of what the page shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from medstt.errors import ModelUnavailable, ResourceError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1120, 860
_SECONDS = 300


def draw_picture(page: Path, picture: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Write the top of an HTML file as PNG; raises ModelUnavailable without Chromium, ResourceError if it fails."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ModelUnavailable("drawing a page needs Chromium", "Install it, for example with `apt install chromium`")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="medstt-picture-") as profile:
        command = [
            browser, "--headless", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
            f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={picture.resolve()}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []), page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise ResourceError(f"{browser} drew nothing within {_SECONDS} s", "Try again when less runs") from error
    if done.returncode or not picture.is_file():
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise ResourceError(f"{browser} drew no picture ({said[0][:200]})", "Open the page by hand")
