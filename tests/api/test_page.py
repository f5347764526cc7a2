"""The page in a real headless Chromium with a fake microphone."""

from __future__ import annotations

import io
import os
import re
import shutil
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 60_000


def until(page: Page, condition: str) -> None:
    """Wait for a condition; Playwright's own way evaluates strings inside the page, which the page forbids."""
    end = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def keep(page: Page, name: str) -> None:
    """Keep a screenshot for the eye where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, wav: bytes) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    voice = tmp_path_factory.mktemp("voice") / "voice.wav"
    with wave.open(io.BytesIO(wav)) as source, wave.open(str(voice), "wb") as target:
        target.setparams(source.getparams())
        target.writeframes(source.readframes(source.getnframes()) * 5)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={voice}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, live: Any) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1200, "height": 850}, accept_downloads=True)
    context.grant_permissions(["microphone", "clipboard-read", "clipboard-write"], origin=live.url)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def sign_in(page: Page, live: Any, tenant: str) -> Callable[..., None]:
    def enter(role: str = "admin") -> None:
        page.goto(live.url)
        page.fill("#key", live.key(tenant, role))
        page.keyboard.press("Enter")
        page.wait_for_selector("#record")

    return enter


@pytest.fixture
def recording(tmp_path: Path, wav: bytes) -> Path:
    path = tmp_path / "visit.wav"
    path.write_bytes(wav)
    return path


def test_nothing_is_seen_without_a_key(page: Page, live: Any) -> None:
    page.goto(live.url)
    expect(page.locator("#key")).to_be_focused()
    keep(page, "signin")
    for name in ("app.js", "report.js"):
        assert page.request.get(f"{live.url}/page/{name}").status == 401
    page.fill("#key", "medstt_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#error")).to_contain_text("not valid")
    assert page.request.get(f"{live.url}/v1/dictations").status == 401


def test_a_recording_becomes_a_signed_report(
    page: Page, live: Any, sign_in: Callable[..., None], recording: Path, tmp_path: Path
) -> None:
    sign_in()
    page.set_input_files("#file", recording)
    text = page.locator("#text")
    expect(text).to_have_text("The patient is well")
    assert page.locator(".word").count() == 4
    keep(page, "report-light")
    page.emulate_media(color_scheme="dark")
    keep(page, "report-dark")
    page.locator(".word", has_text="patient").click()
    until(page, "document.querySelector('audio').currentTime >= 0.5")
    page.click("#edit")
    page.fill("#editor", "The patient is unwell")
    page.keyboard.press("Control+Enter")
    expect(text).to_have_text("The patient is unwell")
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == "The patient is unwell"
    with page.expect_download() as download:
        page.select_option("#download", "docx")
    assert download.value.suggested_filename.endswith(".docx")
    page.click("#sign")
    expect(page.locator("#report .badge")).to_have_text("Signed")
    page.click("#reopen")
    page.fill("#reason", "wrong side")
    page.locator("#ask button.primary").click()
    expect(page.locator("#edit")).to_be_visible()
    page.reload()
    expect(page.locator("#list button")).to_have_count(1)
    page.click("#signout")
    expect(page.locator("#key")).to_be_visible()


def test_the_microphone_records(page: Page, sign_in: Callable[..., None]) -> None:
    sign_in("clinician")
    page.click("#record")
    expect(page.locator("#record")).to_have_class(re.compile("recording"))
    until(page, "document.querySelector('#clock').textContent >= '0:02'")
    page.click("#pause")
    expect(page.locator("#pause")).to_have_text("Continue")
    page.click("#pause")
    page.click("#record")
    expect(page.locator("#text")).to_contain_text("patient is well")


def test_a_conflict_keeps_what_was_typed(
    page: Page, live: Any, tenant: str, sign_in: Callable[..., None], recording: Path
) -> None:
    from medstt.client import Client

    sign_in()
    page.set_input_files("#file", recording)
    expect(page.locator("#text")).to_have_text("The patient is well")
    page.click("#edit")
    with Client(live.url, live.key(tenant)) as other:
        one = next(other.list())
        other.correct(one.id, one.version, "The patient is better")
    page.fill("#editor", "The patient is worse")
    page.click("#save")
    expect(page.locator("#report [role=status]")).to_contain_text("Somebody changed it")
    assert page.input_value("#editor") == "The patient is worse"
    page.click("#save")
    expect(page.locator("#text")).to_have_text("The patient is worse")


def test_it_works_by_keyboard_in_german_and_narrow(
    page: Page, sign_in: Callable[..., None], recording: Path, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    sign_in()
    page.click("[data-language=de]")
    expect(page.locator("#new-title")).to_have_text("Neues Diktat")
    page.set_input_files("#file", recording)
    expect(page.locator("#text")).to_have_text("The patient is well")
    page.locator(".word").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "patient"
    page.keyboard.press("Enter")
    until(page, "document.querySelector('audio').currentTime >= 0.5")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    keep(page, "narrow-dark-german")


def test_names_are_text_not_markup(
    page: Page, live: Any, tenant: str, sign_in: Callable[..., None], wav: bytes
) -> None:
    from medstt.client import Client

    with Client(live.url, live.key(tenant)) as client:
        one = client.create(wav, patient="<img src=x onerror=document.title='hacked'>")
        client.wait(one.id)
    sign_in()
    page.locator("#list button").first.click()
    expect(page.locator("#report h2")).to_contain_text("<img")
    assert page.title() == "medstt"


def test_a_reviewer_cannot_upload_or_sign(
    page: Page, live: Any, tenant: str, sign_in: Callable[..., None], wav: bytes
) -> None:
    from medstt.client import Client

    with Client(live.url, live.key(tenant)) as client:
        client.wait(client.create(wav).id)
    sign_in("reviewer")
    expect(page.locator("#new")).to_be_hidden()
    page.locator("#list button").first.click()
    expect(page.locator("#edit")).to_be_visible()
    assert page.locator("#sign").count() == 0
