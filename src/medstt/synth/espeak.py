"""The espeak-ng library in a process of its own: JSON requests on stdin, length-prefixed 16-bit PCM on stdout.

espeak-ng is GPL-3; medstt talks to it over a pipe and never links it. Run as ``python -m medstt.synth.espeak``. Knows
nothing of sentences, manifests or files; imports nothing of medstt so that the process starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from typing import Any

AUDIO_RETRIEVAL = 2  # espeak_AUDIO_OUTPUT: hand samples to the callback
CHARS_UTF8 = 1
PHONEMES = 0x100  # espeakPHONEMES: [[...]] in the text is phoneme mnemonics
POS_CHARACTER = 1
SEED = 1
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4, "wordgap": 7}


class Espeak:
    """The loaded library; ``speak`` returns PCM at ``rate_hz``."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate_hz = int(
            self._library.espeak_Initialize(AUDIO_RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0)
        )
        if self.rate_hz <= 0:
            raise RuntimeError("espeak-ng did not start: its data folder is missing")
        self._chunks: list[bytes] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = signature(self._collect)  # kept: the library holds the bare pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0

    def speak(self, text: str, voice: str, parameters: dict[str, int]) -> bytes:
        """Return 16-bit little-endian mono PCM; raises ValueError for an unknown voice."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for name, value in parameters.items():
            self._library.espeak_SetParameter(PARAMETERS[name], int(value), 0)
        # The library seeds breath and flutter by the clock. What was said before still changes a few samples.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        self._chunks.clear()
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, POS_CHARACTER, 0, CHARS_UTF8 | PHONEMES, None, None)
        self._library.espeak_Synchronize()
        return b"".join(self._chunks)


def main() -> None:
    """Serve requests until stdin closes: {"text", "voice", "parameters"} -> header (bytes, rate, status), payload."""
    library = Espeak()
    out = sys.stdout.buffer
    for line in sys.stdin:
        request = json.loads(line)
        try:
            payload, status = library.speak(request["text"], request["voice"], request["parameters"]), 0
        except ValueError as error:
            payload, status = str(error).encode(), 1
        try:
            out.write(struct.pack("<III", len(payload), library.rate_hz, status) + payload)
            out.flush()
        except BrokenPipeError:  # whoever asked is gone
            os._exit(1)


if __name__ == "__main__":
    main()
