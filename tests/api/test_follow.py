"""Following dictations: one look for everybody, at once when a worker is done, and no one left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from medstt.api.follow import Followers
from medstt.errors import MedsttError, NotFoundError, StoreUnavailable
from medstt.store.record import Progress

NEW = Progress("received", 0, None, 0, 1, None)


class Known:
    """What a database would say; counts how often it is asked."""

    def __init__(self, **states: Progress | MedsttError) -> None:
        self.states = states
        self.looks = 0

    def __call__(self, tenant: str, dictations: Sequence[str]) -> Mapping[str, Progress]:
        self.looks += 1
        found: dict[str, Progress] = {}
        for one in dictations:
            state = self.states.get(one)
            if isinstance(state, MedsttError):
                raise state
            if state is not None:
                found[one] = state
        return found


async def listen(followers: Followers, dictation: str, heard: list[str]) -> None:
    async for found in followers.follow("a", dictation, NEW, silence_s=30):
        assert found is not None
        heard.append(found.status)


def test_one_look_serves_everybody_and_a_finished_dictation_is_told_at_once() -> None:
    known = Known(**{f"d{number}": replace(NEW, status="processing") for number in range(20)})
    followers = Followers(known, every_s=3600)
    told: dict[str, list[str]] = {name: [] for name in known.states}

    async def main() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for name, heard in told.items():
                group.create_task(listen(followers, name, heard))
            while not all(told.values()):
                await asyncio.sleep(0)
            known.states = {name: replace(NEW, status="ready") for name in told}
            await asyncio.to_thread(followers.wake)

    asyncio.run(main())
    assert all(heard == ["processing", "ready"] for heard in told.values())
    assert known.looks == 2
    followers.wake()  # a worker that finishes after the server has ended


def test_silence_is_told_and_what_is_ready_already_ends() -> None:
    async def main() -> None:
        followers = Followers(Known(d=NEW), every_s=3600)
        stream = followers.follow("a", "d", NEW, silence_s=0.01)
        assert await anext(stream) is None
        await stream.aclose()
        assert [one async for one in followers.follow("a", "d", replace(NEW, status="failed"), 30)] == []

    asyncio.run(main())


@pytest.mark.parametrize("known", [Known(), Known(d=StoreUnavailable("down"))])
def test_an_erased_dictation_and_a_database_that_is_down_end_the_stream(known: Known) -> None:
    expected = type(known.states["d"]) if known.states else NotFoundError
    with pytest.raises(expected):
        asyncio.run(listen(Followers(known, every_s=3600), "d", []))


def test_a_look_that_breaks_leaves_nobody_waiting() -> None:
    def broken(tenant: str, dictations: Sequence[str]) -> Mapping[str, Progress]:
        raise ZeroDivisionError

    async def main() -> None:
        followers = Followers(broken)
        with pytest.raises(MedsttError, match="unexpected"):
            await listen(followers, "d", [])

    asyncio.run(main())
