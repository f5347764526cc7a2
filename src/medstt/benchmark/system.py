"""The systems that are compared, each behind ``run(samples, tokens, beam) -> tokens decoded``, on one thread.

All decode exactly the number of tokens they are told, without timestamps, prompts or fallbacks. Knows nothing of
clocks and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from medstt.benchmark.ct2 import convert_ct2
from medstt.benchmark.ggml import convert_ggml
from medstt.engine.checkpoint import open_checkpoint
from medstt.feature import FULL_CONTEXT, log_mel
from medstt.values import RATE_HZ, Samples

Run = Callable[[Samples, int, int], int]

_ADDED = 2  # CTranslate2 decodes half of max_length at most; what faster-whisper adds to it, as its output shows
PHRASE = 8 * RATE_HZ  # samples: the length into which medstt's segmenter cuts a dictation, about


def open_medstt(model: Path, work: Path, *, full: bool = False, precision: str = "int8") -> Run:
    """Our engine: at the clip's own length, or (``full``) padded to 30 s as stock weights need it."""
    from medstt.engine.onnx import open_onnx
    from medstt.engine.search import Rules, begin, search
    from medstt.engine.token import TokenTable
    from medstt.engine.whisper import BATCH_ROWS
    from medstt.speech import segment_speech

    checkpoint = open_checkpoint(model)
    backend = open_onnx(checkpoint, cache=work, threads=1, precision="float32" if precision == "float32" else "int8")
    table = TokenTable(checkpoint)
    prompt = np.array([[table.start, *table.prompt("en")]])
    rules = Rules(table.end, table.suppress_first, table.suppress, look_for_loops=False)

    def decode(pieces: Sequence[Samples], tokens: int, beam: int) -> int:
        count, context = len(pieces), FULL_CONTEXT if full else None
        memory = backend.encode([log_mel(piece, checkpoint.shape.n_mels, context) for piece in pieces])
        begun = begin(backend, memory, prompt.repeat(count, 0), rules)
        found = search(
            backend, memory, begun.cache, begun.first, rules,
            beams=beam, limits=[tokens] * count, biases=[None] * count,
        )  # fmt: skip
        return sum(len(readings[0].tokens) for readings in found)

    def run(samples: Samples, tokens: int, beam: int) -> int:
        if len(samples) <= FULL_CONTEXT:
            return decode([samples], tokens, beam)
        segment_speech(samples)  # its cost counts; where it cuts noise does not matter here
        size = FULL_CONTEXT if full else PHRASE
        pieces = [samples[cut : cut + size] for cut in range(0, len(samples), size)]
        together = max(1, BATCH_ROWS // beam)
        batches = [pieces[number : number + together] for number in range(0, len(pieces), together)]
        return sum(decode(batch, tokens // len(pieces), beam) for batch in batches)

    return run


def open_ctranslate2(model: Path, work: Path) -> Run:
    """CTranslate2 int8 at the clip's own length, greedy or beam."""
    import ctranslate2

    checkpoint = open_checkpoint(model)
    whisper = ctranslate2.models.Whisper(
        str(_converted(model, work)), device="cpu", compute_type="int8", intra_threads=1, inter_threads=1
    )
    names = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]

    def run(samples: Samples, tokens: int, beam: int) -> int:
        features = log_mel(samples, checkpoint.shape.n_mels)[None]
        found = whisper.generate(
            ctranslate2.StorageView.from_array(features), [names], beam_size=beam, max_length=2 * tokens,
            suppress_tokens=[], suppress_blank=False,
        )  # fmt: skip
        return len(found[0].sequences_ids[0])

    return run


def open_faster_whisper(model: Path, work: Path) -> Run:
    """faster-whisper int8 as it comes: every clip padded to 30 s."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(_converted(model, work)), device="cpu", compute_type="int8", cpu_threads=1)

    def run(samples: Samples, tokens: int, beam: int) -> int:
        windows = -(-len(samples) // FULL_CONTEXT)
        segments, _ = whisper.transcribe(
            samples, language="en", beam_size=beam, temperature=0.0, max_new_tokens=2 * (tokens // windows) - _ADDED,
            suppress_tokens=[], suppress_blank=False, without_timestamps=True, condition_on_previous_text=False,
            no_speech_threshold=None, log_prob_threshold=None, compression_ratio_threshold=None,
        )  # fmt: skip
        return sum(len(segment.tokens) for segment in segments)

    return run


def open_whisper_cpp(model: Path, work: Path) -> Run:
    """whisper.cpp through pywhispercpp, half precision as its models come: every clip padded to 30 s."""
    from pywhispercpp.model import Model

    checkpoint = open_checkpoint(model)
    path = work / f"{checkpoint.digest[:16]}.ggml"
    whisper = Model(str(path if path.is_file() else convert_ggml(checkpoint, path)), redirect_whispercpp_logs_to=None)

    def run(samples: Samples, tokens: int, beam: int) -> int:
        windows = -(-len(samples) // FULL_CONTEXT)
        whisper.transcribe(
            samples, n_threads=1, language="en", temperature_inc=0.0, max_tokens=tokens // windows, no_context=True,
            no_timestamps=True, suppress_blank=False, no_speech_thold=1.0, print_progress=False, print_realtime=False,
        )  # fmt: skip
        return tokens // windows * windows

    return run


def is_installed(peer: str) -> bool:
    """Return whether a peer's package is there."""
    return find_spec(PEERS[peer]) is not None


PEERS = {"faster-whisper": "faster_whisper", "whisper.cpp": "pywhispercpp", "ctranslate2": "ctranslate2"}


def open_system(name: str, model: Path, work: Path) -> Run:
    """Load a system by name; raises KeyError for an unknown one."""
    systems: dict[str, Callable[[], Run]] = {
        "medstt": lambda: open_medstt(model, work),
        "medstt at 30 s": lambda: open_medstt(model, work, full=True),
        "medstt float32": lambda: open_medstt(model, work, precision="float32"),
        "ctranslate2": lambda: open_ctranslate2(model, work),
        "faster-whisper": lambda: open_faster_whisper(model, work),
        "whisper.cpp": lambda: open_whisper_cpp(model, work),
    }
    return systems[name]()


def _converted(model: Path, work: Path) -> Path:
    checkpoint = open_checkpoint(model)
    folder = work / f"{checkpoint.digest[:16]}-ct2"
    return folder if (folder / "model.bin").is_file() else convert_ct2(checkpoint, folder)
