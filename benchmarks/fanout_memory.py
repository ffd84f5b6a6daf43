"""Bytes per entry of full home timelines, against sorted sets of the same ids as Mastodon keeps them.

10,000 timelines are filled to 800 and on, so that they stand at all stages between two trims; a third of the
entries are retweets. What counts is all memory that the server takes for them, keys included, per kept entry.
The sorted sets hold exactly 800 ids each, which is a skiplist: score and member are the id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.deliveries import DeliveryLog
from benchmarks.harness import Figures, Trial
from benchmarks.store import open_store, running_store
from timelines import commands
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

TIMELINES = 10_000
FURTHER_BATCHES, TWEETS_A_BATCH, FOLLOWERS = 5, 4000, 200
KEYS_A_BATCH = 200
MIB = 1 << 20


def timelines(client: redis.Redis) -> Figures:
    """What the home timelines take, and what they would take were they sorted sets."""
    settings, keys = TimelineSettings(), Keyspace("", RedisSettings().partitions)
    log = DeliveryLog(TIMELINES, FOLLOWERS, retweets=1 / 3, repeated=0.05, compared=1)
    before = _emptied(client)
    with client.pipeline(transaction=False) as pipe:
        commands.activate(pipe, keys, settings, range(TIMELINES))
        pipe.execute()
        for pairs in log.filling(settings.length):
            commands.deliver(pipe, keys, settings, *pairs)
            pipe.execute()
        for _ in range(FURTHER_BATCHES):
            commands.deliver(pipe, keys, settings, *log.batch(TWEETS_A_BATCH))
            pipe.execute()
    return _figures(client, before, settings.length)


def sorted_sets(client: redis.Redis) -> Figures:
    """The same ids in sorted sets of the default encoding for 800 members."""
    settings, keys = TimelineSettings(), Keyspace("", RedisSettings().partitions)
    tweets = DeliveryLog(TIMELINES, FOLLOWERS, retweets=0, repeated=0, compared=1).tweets(settings.length)
    members = {str(tweet): tweet for tweet in tweets["appearance"].tolist()}
    before = _emptied(client)
    with client.pipeline(transaction=False) as pipe:
        for reader, key in enumerate(keys.keys("home", range(TIMELINES))):
            pipe.zadd(key, members)
            if reader % KEYS_A_BATCH == KEYS_A_BATCH - 1:
                pipe.execute()
    return _figures(client, before, settings.length)


def _emptied(client: redis.Redis) -> int:
    client.execute_command("FLUSHALL", "SYNC")  # else the old values are freed while the new are counted
    return int(client.info("memory")["used_memory"])


def _figures(client: redis.Redis, before: int, length: int) -> Figures:
    taken = int(client.info("memory")["used_memory"]) - before
    entries = TIMELINES * length
    return {"bytes_per_entry": taken / entries, "entries_per_mib": entries * MIB / taken}


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, emptied before each measurement: the ratio says how many times smaller."""
    with running_store() as address, open_store(address) as client:
        yield Trial(
            "fanout-memory",
            lambda: timelines(client),
            baseline=lambda: sorted_sets(client),
            ratio=("entries_per_mib", "entries_per_mib"),
            warmups=0,
        )
