"""Uploads are decoded in a pool of separate processes: a hostile or broken file ends a process, not the service.

Owns the processes, their limits and replacement. Knows nothing of what the sound is used for.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medstt import errors
from medstt.errors import MedsttError, TooManyRequests, UnreadableAudio
from medstt.values import Audio
from medstt.work.sandbox_child import BLOCK, END, ERROR, FRAME

USES = 1000  # a process is replaced after so many files, whatever a decoder may have leaked; starting one costs 0.5 s
FRAME_BYTES = 256 << 20  # a process that announces more was taken over by a file


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one file may cost: wall and CPU seconds, address space, length of sound; and how long to wait for a turn."""

    seconds: int = 120
    memory_bytes: int = 2 << 30
    max_ms: int = 7_200_000
    wait_seconds: float = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class SealedFile:
    """An encrypted object and its own key; ``name`` stands for it in messages."""

    path: Path
    key: bytes
    name: str


class Sandbox:
    """A fixed number of decoding processes, started when first needed."""

    def __init__(self, size: int, limits: DecodeLimits) -> None:
        self.limits = limits
        self._closed = False
        self._slots: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)
        self._size = size

    def probe(self, file: SealedFile) -> dict[str, Any]:
        """Return what a recording's header says after decoding its first second; raises an AudioError or TooLarge."""
        return self._run(file, probe=True)[0]

    def decode(self, file: SealedFile) -> Audio:
        """Decode a whole recording into memory; raises an AudioError or TooLarge."""
        facts, body = self._run(file, probe=False)
        samples = np.frombuffer(body, np.float32)
        samples.flags.writeable = False
        return Audio(samples, facts["digest"], facts["source"], warnings=tuple(facts["warnings"]))

    def warm(self) -> None:
        """Start the processes."""
        children = [self._slots.get() for _ in range(self._size)]
        for child in children:
            self._slots.put(child or _Child(self.limits))

    def _run(self, file: SealedFile, *, probe: bool) -> tuple[dict[str, Any], bytearray]:
        request = {
            "path": str(file.path),
            "key": base64.b64encode(file.key).decode(),
            "name": file.name,
            "probe": probe,
            "max_ms": self.limits.max_ms,
        }
        with self._child() as child:
            return child.ask(request, self.limits.seconds, file.name)

    @contextmanager
    def _child(self) -> Iterator[_Child]:
        try:
            child = self._slots.get(timeout=self.limits.wait_seconds)
        except queue.Empty as error:
            raise TooManyRequests("every decoder is busy", "Retry in a moment") from error
        try:
            if child is None or not child.usable():
                if child is not None:
                    child.close()
                child = _Child(self.limits)
            yield child
        finally:
            self._slots.put(child)

    def close(self) -> None:
        """End the processes; those at work end with their file."""
        for _ in range(self._size):
            try:
                child = self._slots.get(timeout=1.0)
            except queue.Empty:
                return
            if child is not None:
                child.close()


class _Child:
    def __init__(self, limits: DecodeLimits) -> None:
        keep = ("PATH", "LD_LIBRARY_PATH", "LANG", "HOME", "PYTHONPATH")
        environment = {name: os.environ[name] for name in keep if name in os.environ} | {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "medstt.work.sandbox_child", str(limits.memory_bytes), str(limits.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg's messages may quote a file's tags, which may name a patient
            env=environment,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._uses = 0

    def usable(self) -> bool:
        return self._uses < USES and self._process.poll() is None

    def ask(self, request: dict[str, Any], seconds: float, name: str) -> tuple[dict[str, Any], bytearray]:
        self._uses += 1
        sound = bytearray()
        done = False
        deadline = time.monotonic() + seconds
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            while True:
                kind, size = FRAME.unpack(self._read(FRAME.size, deadline, name))
                if size > FRAME_BYTES:
                    raise _died(name)
                body = self._read(size, deadline, name)
                if kind == BLOCK:
                    sound += body
                    continue
                done = True
                if kind == END:
                    return json.loads(body), sound
                assert kind == ERROR
                raise _error(*json.loads(body))
        except BrokenPipeError as error:
            raise _died(name) from error
        finally:
            if not done:
                self.close()

    def _read(self, size: int, deadline: float, name: str) -> bytearray:
        body = bytearray(size)
        rest = memoryview(body)
        while rest:
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise UnreadableAudio(f"{name} takes longer to decode than allowed", "Convert it to wav")
            count = os.readv(self._out, [rest])
            if not count:
                raise _died(name)
            rest = rest[count:]
        return body

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # the request it never read


def _died(name: str) -> UnreadableAudio:
    return UnreadableAudio(f"{name} crashed the decoder or exceeded its limits", "Convert it to wav")


def _error(kind: str, what: str, remedy: str) -> MedsttError:
    found = getattr(errors, kind, MedsttError)
    error: MedsttError = found(what, remedy)
    return error
