"""Rebuilding the timelines of many readers after the store lost them: in order, at a bounded rate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from timelines.keys import Keyspace

SCANNED = 1000
NOT_THERE = -2
"""What a server answers for the expiry of a key that does not exist."""


async def readers_of(redis: Any, keys: Keyspace) -> list[int]:
    """Everybody who ever followed somebody, ascending."""
    followees = redis.scan_iter(match=keys.pattern("followees"), count=SCANNED)
    found = [int(key.rsplit(b":", 1)[1]) async for key in followees]
    return sorted(set(found))


async def missing(redis: Any, keys: Keyspace, readers: Sequence[int]) -> list[int]:
    """Those of the readers who have no home timeline, in their order."""
    found: list[int] = []
    for some in _batches(readers, SCANNED):
        pipe = redis.pipeline(transaction=False)
        for key in keys.keys("home", some):
            pipe.pttl(key)
        left = await pipe.execute()
        found += [reader for reader, ms in zip(some, left, strict=True) if ms == NOT_THERE]
    return found


async def shorten(redis: Any, keys: Keyspace, reader: int, keep_ms: int) -> None:
    """Have a timeline expire sooner than after a read: who has not read it does not count as active."""
    pipe = redis.pipeline(transaction=False)
    for key in (keys.home(reader), keys.home_tail(reader)):
        pipe.pexpire(key, keep_ms)
    await pipe.execute()


async def warm(
    read: Callable[[int], Awaitable[bool]],
    readers: Sequence[int],
    rate: float,
    together: int,
    passed: Callable[[int, int], None],
    seconds: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Read every reader's timeline once, which rebuilds those that are missing; answers how many were.

    Args:
        read: reads one timeline and says whether it was rebuilt.
        readers: ascending.
        rate: readers begun per second at most.
        together: readers under way at the same time.
        passed: told the last reader up to whom all are done, and how many were rebuilt so far.
        seconds: a clock that only moves on.

    Raises:
        redis.exceptions.RedisError: the store did not answer; go on from the reader last passed.
    """
    started, begun, rebuilt = seconds(), 0, 0
    for some in _batches(readers, together):
        ahead = started + begun / rate - seconds()
        if ahead > 0:
            await sleep(ahead)
        found = await asyncio.gather(*map(read, some))
        begun += len(some)
        rebuilt += sum(found)
        passed(some[-1], rebuilt)
    return rebuilt


def _batches(readers: Sequence[int], size: int) -> list[Sequence[int]]:
    return [readers[start : start + size] for start in range(0, len(readers), size)]
