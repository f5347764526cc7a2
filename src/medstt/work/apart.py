"""A model in processes of its own, one recording each at a time: part of decoding is Python, and threads would wait.

A process that dies fails the recording it held and is started again for the next one. Knows nothing of what a
recogniser does with a recording.
"""

from __future__ import annotations

import atexit
import enum
import multiprocessing
import queue
import signal
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from medstt.engine.protocol import Capabilities
from medstt.errors import MedsttError, ResourceError
from medstt.process import end_with_parent
from medstt.values import Audio, Hypothesis, ModelRef, Transcript
from medstt.vocab import Lexicon
from medstt.work.log import Log
from medstt.work.recognise import Heard, Recogniser, Wanted

BLOCK_BYTES = 1 << 20  # of samples in one message, so that no copy of a long recording is made on the way
REMEMBERED = 32  # lexicons in a process

Open = Callable[[], Recogniser]  # loads the model in the process; must be picklable


class ModelDied(MedsttError):
    """The process of a model ended while it worked on a recording."""

    code = "model_died"


class ModelFailed(Exception):
    """An unexpected error in the process of a model, which logged its type and place."""


class _Sign(enum.Enum):
    STOP = "stop"  # to the process: nobody wants the rest
    STOPPED = "stopped"
    LEXICON = "lexicon"  # from the process: it does not know that one
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _Task:
    """A recording without its samples, which follow in blocks, and the digest that stands for the lexicon."""

    count: int
    audio: Audio
    language: str | None
    lexicon: str | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Refused:
    """An error of ours on its way."""

    kind: type[MedsttError]
    what: str
    remedy: str

    def error(self) -> MedsttError:
        return self.kind(self.what, self.remedy)


class Recognisers:
    """A Recogniser over ``size`` processes; a call waits for a free one.

    Raises what ``open_model`` raises, or ResourceError for a process that ends before its model is loaded.
    """

    def __init__(self, open_model: Open, size: int) -> None:
        self._open, self._size = open_model, size
        first = _Child(open_model)  # converts the model if need be, which the others then find done
        self._ref, self._capabilities = first.ref, first.capabilities
        self._free: queue.SimpleQueue[_Child | None] = queue.SimpleQueue()
        self._free.put(first)
        with ThreadPoolExecutor(size) as threads:
            others = [threads.submit(_Child, open_model) for _ in range(size - 1)]
        for one in others:
            self._free.put(None if one.exception() else one.result())  # started when it is needed

    @property
    def ref(self) -> ModelRef:
        """Name and digest of the loaded model."""
        return self._ref

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return self._capabilities

    @property
    def size(self) -> int:
        """Number of processes."""
        return self._size

    def transcribe(self, audio: Audio, wanted: Wanted, heard: Heard) -> Transcript:
        """Transcribe a recording, telling ``heard`` phrase by phrase; what it raises ends the work soon.

        Raises ModelDied when the process ends meanwhile, ModelFailed for an error that the process logged.
        """
        with self._child() as child:
            return child.transcribe(audio, wanted, heard)

    @contextmanager
    def _child(self) -> Iterator[_Child]:
        child = self._free.get()
        try:
            if child is None or not child.alive():
                if child is not None:
                    child.close()
                    child = None
                child = _Child(self._open)
            yield child
        finally:
            self._free.put(child)

    def close(self) -> None:
        """End the processes; those at work are waited for."""
        for _ in range(self._size):
            child = self._free.get()
            if child is not None:
                child.close()


class _Child:
    """A process and the pipe to it; not for several threads at once."""

    def __init__(self, open_model: Open) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, open_model), name="model", daemon=True)
        self._process.start()
        atexit.register(self._process.kill)  # before multiprocessing's own end, which waits for it
        theirs.close()
        self.ref: ModelRef
        self.capabilities: Capabilities
        try:
            loaded = self._pipe.recv()
        except (EOFError, OSError) as error:
            self.close()
            how = f"exit code {self._process.exitcode}"
            raise ResourceError(f"a model's process ended while loading ({how})", "Lower replicas") from error
        if isinstance(loaded, _Refused):
            self.close()
            raise loaded.error()
        self.ref, self.capabilities = loaded

    def alive(self) -> bool:
        return self._process.is_alive()

    def transcribe(self, audio: Audio, wanted: Wanted, heard: Heard) -> Transcript:
        with self._watched():
            self._send(audio, wanted)
        while True:
            with self._watched():
                answer = self._pipe.recv()
                if answer is _Sign.LEXICON:
                    self._pipe.send(wanted.lexicon)
                    continue
            if isinstance(answer, Transcript):
                return answer
            if isinstance(answer, _Refused):
                raise answer.error()
            if answer is _Sign.FAILED:
                raise ModelFailed
            self._tell(heard, *answer)

    def _send(self, audio: Audio, wanted: Wanted) -> None:
        empty = Audio(audio.samples[:0], audio.digest, audio.source, audio.rate_hz, audio.warnings)
        digest = None if wanted.lexicon is None else wanted.lexicon.digest
        self._pipe.send(_Task(len(audio.samples), empty, wanted.language, digest, wanted.words))
        samples = np.ascontiguousarray(audio.samples).view(np.uint8).data
        for start in range(0, len(samples), BLOCK_BYTES):
            self._pipe.send_bytes(samples[start : start + BLOCK_BYTES])

    def _tell(self, heard: Heard, hypothesis: Hypothesis, position_ms: int) -> None:
        try:
            heard(hypothesis, position_ms)
        except BaseException:
            with suppress(ModelDied), self._watched():
                self._pipe.send(_Sign.STOP)
                while isinstance(self._pipe.recv(), tuple):
                    pass
            raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self.close()
            how = f"exit code {self._process.exitcode}"
            raise ModelDied(f"the model's process ended while it worked ({how})", "Send the recording again") from error

    def close(self) -> None:
        atexit.unregister(self._process.kill)
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, open_model: Open) -> None:
    """Be the process of a model: load it, say so, then transcribe until the other side is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are the parent's business, which drains before it ends
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    try:
        model = open_model()
    except MedsttError as error:
        pipe.send(_Refused(type(error), error.what, error.remedy))
        return
    lexicons: OrderedDict[str, Lexicon] = OrderedDict()
    with suppress(EOFError, OSError):  # the parent has closed the pipe, or was killed
        pipe.send((model.ref, model.capabilities))
        while True:
            task = pipe.recv()
            if isinstance(task, _Task):  # else somebody stopped what was done by then
                pipe.send(_answer(pipe, model, task, lexicons))


def _answer(
    pipe: Connection, model: Recogniser, task: _Task, lexicons: OrderedDict[str, Lexicon]
) -> Transcript | _Refused | _Sign:
    stopped = False

    def heard(hypothesis: Hypothesis, position_ms: int) -> None:
        nonlocal stopped
        pipe.send((hypothesis, position_ms))
        if pipe.poll():
            stopped = pipe.recv() is _Sign.STOP
            raise _Stopped

    audio = _receive(pipe, task)
    lexicon = None if task.lexicon is None else _find(pipe, task.lexicon, lexicons)
    try:
        return model.transcribe(audio, Wanted(task.language, lexicon, task.words), heard)
    except _Stopped:
        return _Sign.STOPPED
    except MedsttError as error:
        return _Refused(type(error), error.what, error.remedy)
    except Exception as error:
        Log("error").failure("model.error", error)
        return _Sign.FAILED


class _Stopped(Exception):
    """Nobody wants the rest."""


def _receive(pipe: Connection, task: _Task) -> Audio:
    samples = np.empty(task.count, np.float32)
    place = samples.view(np.uint8)
    done = 0
    while done < len(place):
        done += pipe.recv_bytes_into(place, done)
    samples.flags.writeable = False
    head = task.audio
    return Audio(samples, head.digest, head.source, head.rate_hz, head.warnings)


def _find(pipe: Connection, digest: str, lexicons: OrderedDict[str, Lexicon]) -> Lexicon:
    if digest not in lexicons:
        pipe.send(_Sign.LEXICON)
        lexicons[digest] = pipe.recv()
        if len(lexicons) > REMEMBERED:
            lexicons.popitem(last=False)
    lexicons.move_to_end(digest)
    return lexicons[digest]
