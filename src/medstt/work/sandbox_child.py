"""A process that decodes recordings for somebody else, with limits on memory, time and files.

Reads one JSON request a line, answers in frames (kind, length, body). Holds no key but that of the object it is told to
read, and can write no file. Knows nothing of databases or models.
"""

from __future__ import annotations

import base64
import io
import json
import resource
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from medstt.audio import open_audio
from medstt.errors import EmptyAudio, MedsttError, TooLarge, UnreadableAudio
from medstt.store.objects import ObjectReader

FRAME = struct.Struct(">cI")
BLOCK, END, ERROR = b"B", b"E", b"X"


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def _allow_cpu(seconds: int) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _send(out: BinaryIO, kind: bytes, body: bytes) -> None:
    out.write(FRAME.pack(kind, len(body)))
    out.write(body)


def _decode(request: dict[str, Any], out: BinaryIO) -> None:
    limit_ms = request["max_ms"]
    with (
        ObjectReader(Path(request["path"]), base64.b64decode(request["key"])) as reader,
        open_audio(io.BufferedReader(reader), request["name"]) as stream,
    ):
        info = stream.info
        if info.duration_ms is not None and info.duration_ms > limit_ms:
            raise _too_long(request["name"], info.duration_ms, limit_ms)
        facts: dict[str, Any] = {"source": info.source, "declared_ms": info.duration_ms, "container": info.container}
        if request["probe"]:
            if next(iter(stream), None) is None:
                raise EmptyAudio(f"{request['name']} holds no sound", "Record again and check the microphone")
        else:
            for block in stream:
                if stream.duration_ms > limit_ms:
                    raise _too_long(request["name"], stream.duration_ms, limit_ms)
                _send(out, BLOCK, block.tobytes())
            facts |= {"digest": stream.digest, "warnings": list(stream.warnings)}
    _send(out, END, json.dumps(facts).encode())


def _too_long(name: str, found_ms: int, limit_ms: int) -> TooLarge:
    return TooLarge(
        f"{name} lasts {found_ms // 60_000} minutes or more, over the limit of {limit_ms // 60_000}",
        "Split the recording",
    )


def main() -> None:
    """Serve requests until standard input ends."""
    memory_bytes, cpu_seconds = int(sys.argv[1]), int(sys.argv[2])
    _limit(memory_bytes)
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        _allow_cpu(cpu_seconds)
        request = json.loads(line)
        try:
            _decode(request, out)
        except MedsttError as error:
            _send(out, ERROR, json.dumps([type(error).__name__, error.what, error.remedy]).encode())
        except MemoryError:
            what = f"{request['name']} needs more memory than allowed"
            _send(out, ERROR, json.dumps([UnreadableAudio.__name__, what, "Convert it to wav"]).encode())
        out.flush()


if __name__ == "__main__":
    main()
