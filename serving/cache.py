"""A cache in this process before the store: nobody waits for what is only old, nobody asks twice for what is
under way.

A value is fresh for some seconds. After that it is still given, and looked up again in the background; only
beyond its second limit, or where there is none, does the caller wait. However many ask for a key at once, one
lookup answers them all. What is not there is not remembered: it may come any moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Outcome = Literal["hit", "stale", "miss"]


@dataclass(frozen=True)
class Ages:
    """Seconds for which a value is fresh, and for which it may be given at all."""

    fresh: float
    stale: float


class Cache(Generic[K, V]):
    """Looks keys up by ``load``, which answers those that are there, many at once.

    Args:
        size: how many values are kept; the least recently used go first.
        seconds: a clock that only moves on.
        count: told how many keys were hits, stale or misses.
    """

    def __init__(
        self,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        ages: Ages,
        size: int,
        seconds: Callable[[], float],
        count: Callable[[Outcome, int], None] = lambda outcome, keys: None,
    ) -> None:
        self._load = load
        self._ages = ages
        self._size = size
        self._seconds = seconds
        self._count = count
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._under_way: dict[K, asyncio.Task[Mapping[K, V]]] = {}

    async def get(self, keys: Sequence[K]) -> dict[K, V]:
        """The values of the keys that are there.

        Raises:
            Exception: whatever ``load`` raises for keys that had to be waited for.
        """
        now, found = self._seconds(), dict[K, V]()
        stale: list[K] = []
        missing: list[K] = []
        for key in dict.fromkeys(keys):
            stored = self._values.get(key)
            age = self._ages.stale if stored is None else now - stored[0]
            if stored is None or age >= self._ages.stale:
                missing.append(key)
                continue
            found[key] = stored[1]
            self._values.move_to_end(key)
            if age >= self._ages.fresh:
                stale.append(key)
        self._count("hit", len(found) - len(stale))
        self._count("stale", len(stale))
        self._count("miss", len(missing))
        if stale:
            self._start(stale)
        if missing:
            tasks = self._start(missing)
            for answer in await asyncio.gather(*(asyncio.shield(task) for task in tasks)):
                found.update((key, answer[key]) for key in missing if key in answer)
        return found

    async def drain(self) -> None:
        """Wait for the lookups under way."""
        await asyncio.gather(*set(self._under_way.values()), return_exceptions=True)

    def _start(self, keys: Sequence[K]) -> list[asyncio.Task[Mapping[K, V]]]:
        """The lookups of these keys: one for those that nobody looks up yet, and those under way."""
        fresh = [key for key in keys if key not in self._under_way]
        tasks = {self._under_way[key] for key in keys if key in self._under_way}
        if fresh:
            task = asyncio.create_task(self._look_up(fresh))
            task.add_done_callback(_noted)
            self._under_way.update((key, task) for key in fresh)
            tasks.add(task)
        return list(tasks)

    async def _look_up(self, keys: Sequence[K]) -> Mapping[K, V]:
        try:
            answer = await self._load(keys)
        finally:
            for key in keys:
                self._under_way.pop(key, None)
        now = self._seconds()
        for key, value in answer.items():
            self._values[key] = (now, value)
            self._values.move_to_end(key)
        for key in keys:
            if key not in answer:
                self._values.pop(key, None)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
        return answer


def _noted(task: asyncio.Task[Mapping[K, V]]) -> None:
    """A lookup in the background that failed is no more than a line in the log."""
    if not task.cancelled() and task.exception() is not None:
        logger.warning("A lookup in the background failed: %s", task.exception())
