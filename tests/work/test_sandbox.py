from __future__ import annotations

import hashlib
import io
import os
import signal
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medstt.errors import AudioError, TooLarge, UnreadableAudio, UnsupportedAudio
from medstt.store.crypt import create_ring
from medstt.store.objects import ObjectStore
from medstt.work.sandbox import DecodeLimits, Sandbox, SealedFile


def make_wav(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((np.sin(np.arange(int(seconds * 16000)) * 0.1) * 9000).astype("<i2").tobytes())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(1, DecodeLimits(seconds=60, max_ms=60_000))
    yield made
    made.close()


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path, create_ring())


def sealed(objects: ObjectStore, content: bytes) -> SealedFile:
    name = objects.put(content)
    return SealedFile(objects.path(name), objects.key(name), "The recording")


def test_a_recording_comes_out_as_it_went_in(sandbox: Sandbox, objects: ObjectStore) -> None:
    content = make_wav(3)
    audio = sandbox.decode(sealed(objects, content))
    assert audio.duration_ms == 3000
    assert audio.digest == hashlib.sha256(content).hexdigest()
    assert not audio.samples.flags.writeable
    assert sandbox.probe(sealed(objects, content))["declared_ms"] == 3000


def test_errors_come_back_as_they_are(sandbox: Sandbox, objects: ObjectStore) -> None:
    with pytest.raises(UnsupportedAudio, match="PDF"):
        sandbox.decode(sealed(objects, b"%PDF-1.7 no sound"))
    with pytest.raises(TooLarge, match="minutes"):
        sandbox.decode(sealed(objects, make_wav(61)))
    assert sandbox.decode(sealed(objects, make_wav(1))).duration_ms == 1000


def test_a_length_that_the_header_hides_is_found_while_decoding(sandbox: Sandbox, objects: ObjectStore) -> None:
    content = bytearray(make_wav(70))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"  # a streamed wav: no length
    with pytest.raises(TooLarge):
        sandbox.decode(sealed(objects, bytes(content)))


def test_a_process_that_dies_is_replaced(sandbox: Sandbox, objects: ObjectStore) -> None:
    sandbox.decode(sealed(objects, make_wav(1)))
    child = sandbox._slots.get()
    assert child is not None
    os.kill(child._process.pid, signal.SIGKILL)
    child._process.wait()
    sandbox._slots.put(child)
    assert sandbox.decode(sealed(objects, make_wav(1))).duration_ms == 1000


def test_one_that_takes_too_long_is_ended(objects: ObjectStore) -> None:
    sandbox = Sandbox(1, DecodeLimits(seconds=1, max_ms=60_000))
    try:
        file = sealed(objects, make_wav(1))
        with sandbox._child() as child:
            os.kill(child._process.pid, signal.SIGSTOP)
        with pytest.raises(UnreadableAudio, match="longer to decode"):
            sandbox.decode(file)
    finally:
        sandbox.close()


def test_memory_is_bounded(objects: ObjectStore) -> None:
    sandbox = Sandbox(1, DecodeLimits(seconds=60, memory_bytes=64 << 20, max_ms=60_000))
    try:
        with pytest.raises(UnreadableAudio):  # Python and FFmpeg alone need more
            sandbox.decode(sealed(objects, make_wav(1)))
    finally:
        sandbox.close()


@pytest.mark.slow
def test_two_thousand_mutated_files_neither_crash_nor_hang(sandbox: Sandbox, objects: ObjectStore) -> None:
    random = np.random.default_rng(20261123)
    original = make_wav(2)
    for _ in range(2000):
        content = bytearray(original[: random.integers(20, len(original))])
        for _ in range(random.integers(1, 40)):
            content[random.integers(0, min(len(content), 200 if random.random() < 0.7 else len(content)))] = (
                random.integers(0, 256)
            )
        file = sealed(objects, bytes(content))
        try:
            assert sandbox.decode(file).duration_ms >= 0
        except (AudioError, TooLarge):
            pass
        finally:
            objects.delete(file.path.name)
