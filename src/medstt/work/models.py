"""The models in service: loaded when asked for, swapped when another is promoted, unloaded when idle or over budget.

Knows nothing of recordings or requests; how a name is resolved and a folder loaded is passed in.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from medstt.errors import MedsttError, ResourceError
from medstt.registry import ResolvedModel
from medstt.work.recognise import Recogniser

Resolve = Callable[[str], ResolvedModel]
Load = Callable[[ResolvedModel], Recogniser]
Report = Callable[[str, str, MedsttError | None], None]  # event, model name, error


@dataclass(slots=True)
class _Loaded:
    recogniser: Recogniser | None
    path: Path
    size_bytes: int
    users: int = 0
    used_s: float = 0.0
    ready: threading.Event = field(default_factory=threading.Event)
    error: MedsttError | None = None


@dataclass(frozen=True, slots=True)
class _Resolution:
    signature: tuple[object, ...]
    model: ResolvedModel
    error: MedsttError | None


class Models:
    """Models by name, shared by threads. A request keeps the version it began with.

    ``copies`` says how often a loaded model is in memory.
    """

    def __init__(
        self,
        resolve: Resolve,
        load: Load,
        folder: Path,
        *,
        budget_bytes: int,
        copies: int = 1,
        idle_s: float,
        report: Report,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve, self._load, self._folder = resolve, load, folder
        self._budget_bytes, self._copies, self._idle_s = budget_bytes, copies, idle_s
        self._report, self._clock = report, clock
        self._lock = threading.Lock()
        self._loaded: dict[Path, _Loaded] = {}
        self._names: dict[str, _Resolution] = {}

    @contextmanager
    def lease(self, name: str) -> Iterator[Recogniser]:
        """Lend the model that ``name`` means now; raises ModelError, ResourceError when it exceeds the budget.

        A promoted version whose files do not match their digests is refused: the version before stays in service.
        """
        entry = self._acquire(name)
        try:
            assert entry.recogniser is not None
            yield entry.recogniser
        finally:
            with self._lock:
                entry.users -= 1
                entry.used_s = self._clock()
            self.tidy()

    def _acquire(self, name: str) -> _Loaded:
        model = self.resolve(name)
        with self._lock:
            entry = self._loaded.get(model.path)
            first = entry is None
            if entry is None:
                size = _folder_bytes(model.path) * self._copies
                dropped = self._make_room(size, model.name)
                entry = self._loaded[model.path] = _Loaded(None, model.path, size)
            else:
                dropped = []
            entry.users += 1
        if first:
            _release_memory(dropped)
            self._fill(entry, model)
        entry.ready.wait()
        if entry.error is not None:
            with self._lock:
                entry.users -= 1
            raise entry.error
        return entry

    def _fill(self, entry: _Loaded, model: ResolvedModel) -> None:
        try:
            entry.recogniser = self._load(model)
            self._report("model.loaded", model.name, None)
        except MedsttError as error:
            entry.error = error
            self._report("model.refused", model.name, error)
        except BaseException:
            entry.error = ResourceError(f"{model.name} could not be loaded", "See the log")
            raise
        finally:
            if entry.error is not None:
                with self._lock:
                    self._loaded.pop(entry.path, None)
            entry.ready.set()

    def resolve(self, name: str) -> ResolvedModel:
        """Return what a name means; digests are verified again whenever the registry's folder changed."""
        signature = self._signature()
        known = self._names.get(name)
        if known is not None and known.signature == signature:
            return known.model
        try:
            model = self._resolve(name)
        except MedsttError as error:
            if known is None or not known.model.path.exists():
                raise
            if known.error is None or str(known.error) != str(error):
                self._report("model.refused", name, error)
            model, problem = known.model, error
            self._names[name] = _Resolution(signature, model, problem)
            return model
        self._names[name] = _Resolution(signature, model, None)
        if known is not None and known.model.path != model.path:
            self._report("model.swapped", model.name, None)
        return model

    def problems(self) -> dict[str, str]:
        """Return names whose newest version was refused, with the reason."""
        return {name: str(found.error) for name, found in self._names.items() if found.error is not None}

    def loaded(self) -> dict[str, int]:
        """Return the names of the models in memory with their size on disk, times their copies, in bytes."""
        with self._lock:
            entries = list(self._loaded.values())
        return {one.recogniser.ref.name: one.size_bytes for one in entries if one.recogniser is not None}

    def tidy(self) -> None:
        """Unload what is idle for too long, or no name means any more."""
        with self._lock:
            current = {found.model.path for found in self._names.values()}
            now = self._clock()
            dropped = [
                self._drop(path)
                for path, entry in list(self._loaded.items())
                if entry.users == 0
                and entry.ready.is_set()
                and (path not in current or now - entry.used_s > self._idle_s)
            ]
        _release_memory(dropped)

    def close(self) -> None:
        """Unload every model that nobody uses."""
        with self._lock:
            dropped = [self._drop(path) for path, entry in list(self._loaded.items()) if entry.users == 0]
        _release_memory(dropped)

    def _make_room(self, size: int, name: str) -> list[_Loaded]:
        if size > self._budget_bytes:
            raise ResourceError(
                f"{name} needs {size >> 20} MB, over the budget of {self._budget_bytes >> 20} MB",
                "Raise model_memory_mb",
            )
        dropped: list[_Loaded] = []
        used = sum(entry.size_bytes for entry in self._loaded.values())
        idle = sorted((e.used_s, path) for path, e in self._loaded.items() if e.users == 0 and e.ready.is_set())
        for _, path in idle:
            if used + size <= self._budget_bytes:
                break
            used -= self._loaded[path].size_bytes
            dropped.append(self._drop(path))
        if used + size > self._budget_bytes:
            raise ResourceError(f"no room for {name} beside the models in use", "Retry later or raise model_memory_mb")
        return dropped

    def _drop(self, path: Path) -> _Loaded:
        entry = self._loaded.pop(path)
        if entry.recogniser is not None:
            self._report("model.unloaded", entry.recogniser.ref.name, None)
        return entry

    def _signature(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in (self._folder, *sorted(self._folder.glob("*")), *sorted(self._folder.glob("*/aliases.json"))):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((str(path), status.st_mtime_ns, status.st_ino))
        return tuple(found)


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _release_memory(dropped: list[_Loaded]) -> None:
    """Give the memory of unloaded models back to the system, not only to the allocator."""
    if not dropped:
        return
    for entry in dropped:
        if entry.recogniser is not None:
            entry.recogniser.close()
        entry.recogniser = None
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
