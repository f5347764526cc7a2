"""Those who follow dictations: one look at the database for all of them, at intervals and whenever a worker is done.

Knows nothing of HTTP or of how events are written.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from medstt.errors import MedsttError, NotFoundError
from medstt.store.record import Progress

Look = Callable[[str, Sequence[str]], Mapping[str, Progress]]  # tenant and ids to what is known of them
DONE = ("ready", "failed")
EVERY_S = 0.4


class _Follower:
    def __init__(self, tenant: str, dictation: str, last: Progress) -> None:
        self.tenant, self.dictation, self.last = tenant, dictation, last
        self.news: asyncio.Queue[Progress | MedsttError] = asyncio.Queue()

    def tell(self, found: Progress | MedsttError) -> None:
        if isinstance(found, MedsttError):
            self.news.put_nowait(found)
        elif found != self.last:
            self.last = found
            self.news.put_nowait(found)


class Followers:
    """Everybody who follows a dictation in this process; ``wake`` may be called from any thread."""

    def __init__(self, look: Look, every_s: float = EVERY_S) -> None:
        self._look, self._every_s = look, every_s
        self._followers: set[_Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now: something changed."""
        if self._loop is not None and self._followers:
            with suppress(RuntimeError):  # the server has just ended, and everybody with it
                self._loop.call_soon_threadsafe(self._woken.set)

    async def follow(
        self, tenant: str, dictation: str, first: Progress, silence_s: float
    ) -> AsyncGenerator[Progress | None, None]:
        """Yield each new state after ``first`` until it is ready or failed, None after so long without one.

        Raises NotFoundError when the dictation is erased meanwhile, StoreUnavailable.
        """
        follower = _Follower(tenant, dictation, first)
        self._followers.add(follower)
        self._loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            while follower.last.status not in DONE or not follower.news.empty():
                try:
                    found = await asyncio.wait_for(follower.news.get(), silence_s)
                except TimeoutError:
                    yield None
                    continue
                if isinstance(found, MedsttError):
                    raise found
                yield found
        finally:
            self._followers.discard(follower)

    async def _run(self) -> None:
        while self._followers:
            await self._tell_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._every_s)
            self._woken.clear()

    async def _tell_all(self) -> None:
        tenants: defaultdict[str, list[_Follower]] = defaultdict(list)
        for follower in self._followers:
            tenants[follower.tenant].append(follower)
        for tenant, followers in tenants.items():
            ids = sorted({one.dictation for one in followers})
            try:
                known = await run_in_threadpool(self._look, tenant, ids)
            except MedsttError as error:
                for one in followers:
                    one.tell(error)
                continue
            except Exception:
                for one in followers:  # nobody is left waiting for news that will not come
                    one.tell(MedsttError("an unexpected error"))
                raise
            for one in followers:
                one.tell(known.get(one.dictation) or NotFoundError("no such dictation"))
