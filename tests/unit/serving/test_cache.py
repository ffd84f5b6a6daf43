"""The cache before the store: who waits, who does not, and how often the store is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from serving.cache import Ages, Cache, Outcome


class Store:
    """Counts the lookups and answers when it is let; keys below zero are not there."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.version = 1
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def load(self, keys: Sequence[int]) -> dict[int, str]:
        self.asked.append(list(keys))
        await self.open.wait()
        if self.error:
            raise self.error
        return {key: f"{key} v{self.version}" for key in keys if key >= 0}


class Scene:
    """A cache over such a store; values are fresh for 5 s and given for 60 s."""

    def __init__(self, size: int = 10) -> None:
        self.store, self.now = Store(), 0.0
        self.counts: dict[Outcome, int] = {"hit": 0, "stale": 0, "miss": 0}
        self.cache = Cache(self.store.load, Ages(5, 60), size, lambda: self.now, self._count)

    def _count(self, outcome: Outcome, keys: int) -> None:
        self.counts[outcome] += keys


def test_a_fresh_value_is_given_without_asking_again() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.cache.get([1, 2]) == {1: "1 v1", 2: "2 v1"}
        scene.now = 4.9
        assert await scene.cache.get([2, 3, 3]) == {2: "2 v1", 3: "3 v1"}
        assert scene.store.asked == [[1, 2], [3]]
        assert scene.counts == {"hit": 1, "stale": 0, "miss": 3}

    asyncio.run(scenario())


def test_an_old_value_is_given_at_once_and_looked_up_in_the_background() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.cache.get([1])
        scene.now, scene.store.version = 5.0, 2
        scene.store.open.clear()
        assert await scene.cache.get([1]) == {1: "1 v1"}
        assert await scene.cache.get([1]) == {1: "1 v1"}
        scene.store.open.set()
        await scene.cache.drain()
        assert await scene.cache.get([1]) == {1: "1 v2"}
        assert scene.store.asked == [[1], [1]]
        assert scene.counts == {"hit": 1, "stale": 2, "miss": 1}

    asyncio.run(scenario())


def test_a_value_beyond_its_second_limit_is_waited_for() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.cache.get([1])
        scene.now, scene.store.version = 60.0, 2
        assert await scene.cache.get([1]) == {1: "1 v2"}

    asyncio.run(scenario())


def test_one_lookup_answers_all_who_ask_meanwhile() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.store.open.clear()
        waiting = [asyncio.create_task(scene.cache.get(keys)) for keys in ([1, 2], [2, 1], [2, 3])]
        await asyncio.sleep(0)
        scene.store.open.set()
        answers = await asyncio.gather(*waiting)
        assert answers == [{1: "1 v1", 2: "2 v1"}, {1: "1 v1", 2: "2 v1"}, {2: "2 v1", 3: "3 v1"}]
        assert scene.store.asked == [[1, 2], [3]]

    asyncio.run(scenario())


def test_one_who_goes_away_does_not_take_the_lookup_from_the_others() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.store.open.clear()
        gone, stays = (asyncio.create_task(scene.cache.get([1])) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        scene.store.open.set()
        assert await stays == {1: "1 v1"}

    asyncio.run(scenario())


def test_what_is_not_there_is_not_remembered() -> None:
    async def scenario() -> None:
        scene = Scene()
        assert await scene.cache.get([-1]) == {}
        assert await scene.cache.get([-1]) == {}
        assert scene.store.asked == [[-1], [-1]]

    asyncio.run(scenario())


def test_a_failed_lookup_reaches_those_who_wait_and_the_next_one_tries_again() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.store.error = OSError("down")
        with pytest.raises(OSError, match="down"):
            await scene.cache.get([1])
        scene.store.error = None
        assert await scene.cache.get([1]) == {1: "1 v1"}

    asyncio.run(scenario())


def test_a_lookup_that_fails_in_the_background_leaves_the_old_value() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.cache.get([1])
        scene.now, scene.store.error = 6.0, OSError("down")
        assert await scene.cache.get([1]) == {1: "1 v1"}
        await scene.cache.drain()
        assert await scene.cache.get([1]) == {1: "1 v1"}

    asyncio.run(scenario())


def test_the_least_recently_used_go_first() -> None:
    async def scenario() -> None:
        scene = Scene(size=2)
        await scene.cache.get([1, 2])
        await scene.cache.get([1])
        await scene.cache.get([3])
        await scene.cache.get([1])
        assert scene.store.asked == [[1, 2], [3]]

    asyncio.run(scenario())
