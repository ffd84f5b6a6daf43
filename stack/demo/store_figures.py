"""What stands in the timeline store after a replay, counted there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from redis import Redis

from stack.errors import UserError
from timelines.keys import TAIL, Keyspace
from timelines.timeline import decode_home

BATCH = 1000


@dataclass(frozen=True)
class StoreFigures:
    """``deliveries`` is the number of entries in home timelines, after trimming."""

    home_timelines: int
    deliveries: int
    pulled_authors: int


@dataclass(frozen=True)
class Follow:
    """An edge of the demo's graph whose author is pushed."""

    reader: int
    author: int


def count(redis: Redis, keys: Keyspace) -> StoreFigures:
    homes = entries = 0
    for batch in _batches(redis, keys, "home"):
        pipe = redis.pipeline(transaction=False)
        for key in batch:
            if not key.endswith(TAIL.encode()):
                pipe.get(key)
                pipe.get(key + TAIL.encode())
        parts = pipe.execute()
        stored = [decode_home(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
        homes += len(stored)
        entries += sum(len(home.entries) for home in stored if home is not None)
    return StoreFigures(homes, entries, redis.scard(keys.pulled()))


def busiest_readers(redis: Redis, keys: Keyspace, number: int) -> list[int]:
    """The readers who follow the most accounts, most first."""
    sizes: list[tuple[int, int]] = []
    for batch in _batches(redis, keys, "followees"):
        pipe = redis.pipeline(transaction=False)
        for key in batch:
            pipe.zcard(key)
        sizes += zip(pipe.execute(), (int(key.rsplit(b":", 1)[1]) for key in batch), strict=True)
    return [reader for _, reader in sorted(sizes, reverse=True)[:number]]


def pushed_follow(redis: Redis, keys: Keyspace, readers: Iterable[int]) -> Follow:
    """A reader and an author whom they follow now and who is pushed.

    Raises:
        UserError: each of the readers follows pulled authors only.
    """
    pulled = {int(author) for author in redis.smembers(keys.pulled())}
    for reader in readers:
        for author, score in redis.zrange(keys.followees(reader), 0, -1, withscores=True):
            if int(score) % 2 and int(author) not in pulled and int(author) != reader:
                return Follow(reader, int(author))
    raise UserError("No reader follows a pushed author: start the demo with a higher --push-below.")


def _batches(redis: Redis, keys: Keyspace, kind: str) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for key in redis.scan_iter(match=keys.pattern(kind), count=BATCH):
        batch.append(key)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
