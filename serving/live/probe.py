"""What the hub asks the store in one round trip for all readers: who may have something new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np

from timelines.client import mget
from timelines.entry import Ids
from timelines.keys import Keyspace
from timelines.stamps import stamps

CHUNK = 1000
"""Keys of one round trip: between two of them other requests have their turn."""


class Changes:
    """Remembers what was seen at each id the last time, and tells at which it is another now."""

    def __init__(self) -> None:
        self._seen: dict[int, bytes | None] = {}

    def update(self, ids: Sequence[int], values: Sequence[bytes | None], *, first: bool) -> list[int]:
        """The ids with another value than the last time; with ``first`` those without a last time too.

        What is not among ``ids`` is forgotten.
        """
        seen, self._seen = self._seen, dict(zip(ids, values, strict=True))
        return [at for at, value in self._seen.items() if (seen[at] != value if at in seen else first)]


class Probe:
    """Looks through an asyncio client that does not decode. All methods raise redis-py's ``RedisError``."""

    def __init__(self, redis: Any, keys: Keyspace) -> None:
        self._redis, self._keys = redis, keys
        self._pulled: tuple[bytes | None, Ids] | None = None
        self._homes, self._outboxes, self._counts = Changes(), Changes(), Changes()

    async def changed_homes(self, readers: Iterable[int]) -> list[int]:
        """The readers whose home timeline changed since the last look."""
        return await self._changed_timelines(self._homes, "home", list(readers))

    async def changed_outboxes(self, authors: Iterable[int]) -> list[int]:
        """The authors whose outbox changed since the last look."""
        return await self._changed_timelines(self._outboxes, "outbox", list(authors))

    async def changed_counts(self, tweets: Iterable[int]) -> list[int]:
        """The tweets whose counts changed since the last look; the first look tells none."""
        asked = sorted(tweets, key=self._keys.partition)
        values: list[bytes | None] = []
        for some in _chunks(asked):
            pipe = self._redis.pipeline(transaction=False)
            for _, members in groupby(some, self._keys.partition):
                mget(pipe, self._keys.keys("counts", members))
            values += [value for answer in await pipe.execute() for value in answer]
        return self._counts.update(asked, values, first=False)

    async def _changed_timelines(
        self, changes: Changes, kind: Literal["home", "outbox"], owners: list[int]
    ) -> list[int]:
        values: list[bytes] = []
        for some in _chunks(owners):
            values += await stamps(self._redis, self._keys, kind, some)
        return changes.update(owners, values, first=True)

    async def pulled(self) -> tuple[Ids, bool]:
        """The authors merged at read, int64 ascending, and whether they changed since the last look."""
        stamp = await self._redis.get(self._keys.pulled_stamp())
        if self._pulled is not None and self._pulled[0] == stamp:
            return self._pulled[1], False
        members = await self._redis.smembers(self._keys.pulled())
        found = np.sort(np.fromiter((int(author) for author in members), dtype=np.int64))
        self._pulled = stamp, found
        return found, True


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
