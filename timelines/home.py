"""Reading a home timeline: the newest appearances by a reader's followees and by the reader.

The stored timeline holds what was pushed; the outboxes of pulled authors are merged at read. Where the stored
timeline cannot prove that it answers in full, it is completed from the outboxes of the current followees.
``docs/timelines.md`` argues why the answer always equals the definition.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from redis.exceptions import RedisError

from timelines.cells import pack_cells
from timelines.client import mget
from timelines.commands import deliver, expiry_ms
from timelines.entry import Entries, Ids
from timelines.keys import Keyspace
from timelines.outboxes import newest_of
from timelines.pulled import PulledOutboxes
from timelines.reading import active_members, by_authors, joined, merge, shown
from timelines.settings import TimelineSettings
from timelines.timeline import Timeline, decode, decode_home, newest

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.05
"""Seconds between two looks of a process that waits for another's rebuild."""


class StoreEmptiedError(RedisError):  # type: ignore[misc]
    """The store lost what it had, so a timeline that it lacks is not an empty one."""

    def __init__(self) -> None:
        super().__init__("The store was emptied or never filled: run `tideline jobs start-over`.")


@dataclass(frozen=True)
class HomeTimeline:
    """``entries``: ENTRY_DTYPE, newest first, nothing twice, nothing withdrawn.

    ``followees`` are the accounts followed at the read, int64 ascending; ``rebuilt`` says that the stored
    timeline was missing or too short and was completed from outboxes. ``beyond``: the id below which there
    may be more than a timeline keeps, 0 where this is all.
    """

    reader: int
    entries: Entries
    followees: Ids
    rebuilt: bool
    beyond: int


@dataclass(frozen=True)
class _Seen:
    """What one read of the reader's keys found; ``home`` are the stored strings."""

    home: tuple[bytes | None, bytes | None]
    followees: Ids
    authors: Ids
    pulled: Ids
    withdrawals: int
    begun: bool


class HomeReader:
    """Reads and, where needed, rebuilds home timelines through an asyncio redis-py client.

    However many ask, in however many processes, one rebuilds a reader at a time and the others wait for it.
    Clients must not decode responses.

    Args:
        new_token: makes the unique name of one attempt at a rebuild.
        seconds: a clock that only moves on.
    """

    def __init__(
        self,
        redis: Any,
        keys: Keyspace,
        settings: TimelineSettings,
        new_token: Callable[[], bytes] = lambda: secrets.token_bytes(12),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._settings = settings
        self._new_token = new_token
        self._outboxes = PulledOutboxes(redis, keys, settings, seconds)
        self._pulled: tuple[bytes | None, Ids] = (None, np.empty(0, dtype=np.int64))
        self._rebuilding: dict[int, asyncio.Task[HomeTimeline]] = {}

    async def read(self, reader: int, limit: int | None = None) -> HomeTimeline:
        """The newest ``limit`` entries of a reader (at most the settings' ``length``).

        Raises:
            redis.exceptions.RedisError: the store did not answer; StoreEmptiedError where it answered, but
                was emptied and has not been filled from the log again.
        """
        home, generation = await self._stored_answer(reader)
        if home is None:
            home = await self._rebuild_once(reader, generation)
        return home if limit is None else replace(home, entries=home.entries[:limit])

    async def drain(self) -> None:
        """Wait for what goes on in the background."""
        await self._outboxes.drain()

    async def backfill(self, reader: int, author: int) -> None:
        """Deliver an author's outbox to a reader, so that a follow shows before the stream job repeats it."""
        stored = await self._redis.get(self._keys.outbox(author))
        if stored is None:
            return
        entries = newest(decode(stored).entries, self._settings.length)
        pipe = self._redis.pipeline(transaction=False)
        deliver(pipe, self._keys, self._settings, np.full(len(entries), reader), entries)
        await pipe.execute()

    async def _stored_answer(self, reader: int) -> tuple[HomeTimeline | None, int]:
        """What the stored timeline answers, None where it cannot; its generation, -1 where there is none."""
        seen = await self._look(reader)
        home = decode_home(*seen.home)
        entries = None if home is None else await self._complete_answer(reader, home, seen)
        if home is None and not seen.begun:
            raise StoreEmptiedError
        generation = -1 if home is None else home.generation
        if entries is None:
            return None, generation
        return self._home(reader, entries, seen, rebuilt=False), generation

    async def _look(self, reader: int) -> _Seen:
        # Who is pulled is known before the timeline is read: an author who ceases to be was delivered before.
        known, pulled = self._pulled
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(self._keys.pulled_stamp())
        for key in (self._keys.home(reader), self._keys.home_tail(reader)):
            pipe.getex(key, px=expiry_ms(self._settings))
        pipe.zrange(self._keys.followees(reader), 0, -1, withscores=True)
        mget(pipe, [self._keys.withdrawals(), self._keys.begun()])
        stamp, settled, tail, members, (withdrawals, begun) = await pipe.execute()
        if stamp != known:
            found = await self._redis.smembers(self._keys.pulled())
            self._pulled = stamp, np.sort(np.fromiter((int(author) for author in found), dtype=np.int64))
            return await self._look(reader)
        followees = active_members(members)
        at = int(np.searchsorted(followees, reader))
        itself = at < len(followees) and followees[at] == reader
        authors = followees if itself else np.concatenate((followees[:at], [reader], followees[at:]))
        return _Seen(
            home=(settled, tail),
            followees=followees,
            authors=authors,
            pulled=_common(authors, pulled),
            withdrawals=int(withdrawals or 0),
            begun=begun is not None,
        )

    async def _complete_answer(self, reader: int, home: Timeline, seen: _Seen) -> Entries | None:
        """The newest entries, withdrawn ones too, or None where the stored timeline cannot prove them."""
        if not home.complete:
            return None
        pulled = await self._outboxes.newest(reader, seen.pulled, seen.withdrawals)
        answer = merge([by_authors(home.entries, seen.authors), pulled], self._settings.length)
        # What lies at or below the floor has gaps: only an answer that ends above it is one without.
        full = len(answer) == self._settings.length and answer["appearance"][-1] > home.floor
        return answer if full or home.floor == 0 else None

    async def _rebuild_once(self, reader: int, generation: int) -> HomeTimeline:
        task = self._rebuilding.get(reader)
        if task is None:
            task = asyncio.create_task(self._rebuild(reader, generation))
            self._rebuilding[reader] = task
            task.add_done_callback(lambda _: self._rebuilding.pop(reader, None))
        return await asyncio.shield(task)

    async def _rebuild(self, reader: int, generation: int) -> HomeTimeline:
        """Rebuild the timeline found wanting at ``generation``, or wait for the process that does and take
        over when it does not end.
        """
        keys, pause = self._keys, FIRST_PAUSE
        names = [keys.home(reader), keys.home_tail(reader)]
        names += [keys.activated(keys.partition(reader)), keys.rebuild_lease(reader)]
        while True:
            token, lease_ms = self._new_token(), self._settings.rebuild_lease_ms
            arguments = (expiry_ms(self._settings), reader, token, lease_ms, generation)
            stored = await self._redis.fcall("open_home", len(names), *names, *arguments)
            opened = None if stored is None else decode_home(*stored)
            if opened is not None:
                return await self._fill(reader, opened, token)
            home, generation = await self._stored_answer(reader)
            if home is not None:
                return home
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _fill(self, reader: int, opened: Timeline, token: bytes) -> HomeTimeline:
        keys, settings, length = self._keys, self._settings, self._settings.length
        seen = await self._look(reader)  # after the opening: what is followed from here on is delivered to it
        pushed_authors = np.setdiff1d(seen.authors, seen.pulled, assume_unique=True)
        outboxes, pulled = await asyncio.gather(
            newest_of(self._redis, keys, settings, pushed_authors),
            self._outboxes.newest(reader, seen.pulled, seen.withdrawals),
        )
        floor = outboxes.floor
        pushed = newest(joined([outboxes.entries, by_authors(opened.entries, pushed_authors)]))
        if len(pushed) > length:
            floor = max(floor, int(pushed["appearance"][length]))
            pushed = pushed[:length]
        await self._redis.fcall(
            "fill_home",
            3,
            keys.home(reader),
            keys.home_tail(reader),
            keys.rebuild_lease(reader),
            expiry_ms(settings),
            length,
            opened.generation,
            opened.appended,
            floor.to_bytes(8, "big"),
            pack_cells(pushed[::-1])[0],
            token,
        )
        return self._home(reader, merge([pushed, pulled], length), seen, rebuilt=True)

    def _home(self, reader: int, answer: Entries, seen: _Seen, *, rebuilt: bool) -> HomeTimeline:
        full = len(answer) == self._settings.length
        beyond = int(answer["appearance"][-1]) if full else 0
        return HomeTimeline(reader, shown(answer), seen.followees, rebuilt, beyond)


def _common(some: Ids, others: Ids) -> Ids:
    """What is in both; each ascends."""
    if not len(some):
        return some
    places = np.minimum(np.searchsorted(some, others), len(some) - 1)
    common: Ids = others[some[places] == others]
    return common
