"""Rebuilding a missing home timeline from the outboxes of 1,000 followees, against its bare round trips.

The followees are of very unequal activity, so that some outboxes have to be read to their ends. The baseline
sends the same commands and does nothing with the answers.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import redis

from benchmarks.deliveries import DeliveryLog
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.round_trips import Recorder, replay
from benchmarks.store import open_store, running_store
from timelines import commands
from timelines.client import open_async_client
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

FOLLOWEES, TWEETS, READER = 1000, 100_000, 7
REBUILDS = 20
PERCENT = 99


@dataclass(frozen=True)
class World:
    """``TWEETS`` tweets, by ``FOLLOWEES`` authors with a Zipf share each."""

    address: RedisSettings
    keys: Keyspace
    settings: TimelineSettings

    def fill(self, client: redis.Redis) -> None:
        log = DeliveryLog(1, 1, retweets=1 / 3, repeated=0, compared=1)
        authors = np.arange(1000, 1000 + FOLLOWEES)
        weights = 1 / np.arange(1, FOLLOWEES + 1)
        entries = log.tweets(TWEETS)
        entries["author"] = log.rng.choice(authors, TWEETS, p=weights / weights.sum())
        entries["author"][:FOLLOWEES] = authors
        with client.pipeline(transaction=False) as pipe:
            commands.note_beginning(pipe, self.keys)
            for author in authors.tolist():
                commands.set_followee(pipe, self.keys, READER, author, 1, True)
            for start in range(0, TWEETS, 2000):
                commands.append_outbox(pipe, self.keys, self.settings, entries[start : start + 2000])
            pipe.execute()

    def rebuild(self, client: redis.Redis) -> Figures:
        """Milliseconds of the read that finds nothing and rebuilds."""
        return asyncio.run(self._rebuild(client))

    async def _rebuild(self, client: redis.Redis) -> Figures:
        asyncio_client = open_async_client(self.address, timeout_s=30)
        samples = []
        try:
            reader = HomeReader(asyncio_client, self.keys, self.settings)
            for _ in range(REBUILDS):
                self._drop(client)
                started = time.perf_counter()
                home = await reader.read(READER)
                samples.append((time.perf_counter() - started) * 1000)
                if not home.rebuilt or len(home.entries) != self.settings.length:
                    raise BenchmarkRefusedError("The timeline was not rebuilt in full.")
        finally:
            await asyncio_client.aclose()
        return {"p50_ms": statistics.median(samples), "p99_ms": float(np.percentile(samples, PERCENT))}

    def bare_trips(self, client: redis.Redis) -> Figures:
        return asyncio.run(self._bare_trips(client))

    async def _bare_trips(self, client: redis.Redis) -> Figures:
        asyncio_client = open_async_client(self.address, timeout_s=30)
        samples = []
        try:
            self._drop(client)
            recorder = Recorder(asyncio_client)
            await HomeReader(recorder, self.keys, self.settings).read(READER)
            for _ in range(REBUILDS):
                self._drop(client)
                started = time.perf_counter()
                await replay(asyncio_client, recorder.trips)
                samples.append((time.perf_counter() - started) * 1000)
        finally:
            await asyncio_client.aclose()
        return {"p50_ms": statistics.median(samples), "round_trips": float(len(recorder.trips))}

    def _drop(self, client: redis.Redis) -> None:
        pipe = client.pipeline(transaction=False)
        commands.drop_home(pipe, self.keys, READER)
        pipe.execute()


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, without persistence."""
    with running_store() as address, open_store(address) as client:
        world = World(address, Keyspace("", address.partitions), TimelineSettings())
        world.fill(client)
        yield Trial(
            "timeline-rebuild",
            lambda: world.rebuild(client),
            baseline=lambda: world.bare_trips(client),
            ratio=("p50_ms", "p50_ms"),
        )
