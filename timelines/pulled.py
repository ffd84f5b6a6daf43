"""What a reader's pulled followees said: their outboxes merged, kept for a moment per reader.

What is kept answers only while the reader's pulled followees are the same and no retweet was taken back
since: otherwise it is read anew. Deletions are tombstones of the tweets themselves, and the reader's own
outbox is never kept, so neither waits. What can be late, by ``pull_cache_ms``, is a new tweet
of a pulled author.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from timelines import entry
from timelines.entry import Entries, Ids
from timelines.keys import Keyspace
from timelines.outboxes import newest_of
from timelines.reading import joined, merge
from timelines.settings import TimelineSettings


@dataclass(frozen=True)
class _Kept:
    authors: Ids
    withdrawals: int
    entries: Entries
    read_at: float


class PulledOutboxes:
    """Reads through an asyncio client; keeps at most ``pull_cache_readers`` answers.

    Args:
        seconds: a clock that only moves on.
    """

    def __init__(
        self,
        redis: Any,
        keys: Keyspace,
        settings: TimelineSettings,
        seconds: Callable[[], float],
    ) -> None:
        self._redis, self._keys, self._settings, self._seconds = redis, keys, settings, seconds
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._refreshing: dict[int, asyncio.Task[Entries]] = {}

    async def newest(self, reader: int, pulled: Ids, withdrawals: int) -> Entries:
        """The newest entries of the outboxes of ``pulled``, newest first, withdrawn ones too.

        Args:
            withdrawals: how many retweets had been taken back when ``pulled`` was read.

        Raises:
            redis.exceptions.RedisError: the store did not answer.
        """
        others = pulled[pulled != reader]
        parts = [entry.empty()]
        if len(others):
            parts.append(await self._others(reader, others, withdrawals))
        if len(others) < len(pulled):
            own = await newest_of(self._redis, self._keys, self._settings, np.array([reader], dtype=np.int64))
            parts.append(own.entries)
        found = merge(parts, self._settings.length) if len(parts) > 2 else joined(parts)
        found["pulled"] = True
        return found

    async def drain(self) -> None:
        """Wait for the refreshes under way."""
        await asyncio.gather(*self._refreshing.values(), return_exceptions=True)

    async def _others(self, reader: int, authors: Ids, withdrawals: int) -> Entries:
        limit = self._settings.pull_cache_ms / 1000
        kept = self._kept.get(reader)
        if kept is None or kept.withdrawals != withdrawals or not np.array_equal(kept.authors, authors):
            return await self._read(reader, authors, withdrawals)
        age = self._seconds() - kept.read_at
        if age >= limit:
            return await self._read(reader, authors, withdrawals)
        self._kept.move_to_end(reader)
        if age >= limit / 2 and reader not in self._refreshing:
            task = asyncio.create_task(self._read(reader, authors, withdrawals))
            self._refreshing[reader] = task
            task.add_done_callback(lambda done: self._refreshed(reader, done))
        return kept.entries

    async def _read(self, reader: int, authors: Ids, withdrawals: int) -> Entries:
        read_at = self._seconds()
        found = (await newest_of(self._redis, self._keys, self._settings, authors)).entries
        if self._settings.pull_cache_ms:
            self._kept[reader] = _Kept(authors, withdrawals, found, read_at)
            self._kept.move_to_end(reader)
            while len(self._kept) > self._settings.pull_cache_readers:
                self._kept.popitem(last=False)
        return found

    def _refreshed(self, reader: int, done: asyncio.Task[Entries]) -> None:
        self._refreshing.pop(reader, None)
        if not done.cancelled():
            done.exception()  # a failed refresh leaves what is kept to expire
