"""Reading a home timeline, against the bare round trips that it takes.

The newest 800 entries of a full timeline, merged with the outboxes of 50 pulled authors and decoded into
arrays, nothing kept from one read to the next. The baseline sends the very same commands over the same client
and does nothing with the answers. Beside it, what a read without the store's functions would send: the
timeline and the 50 outboxes whole.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis

from benchmarks.deliveries import DeliveryLog
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.round_trips import Recorder, Trip, replay
from benchmarks.store import open_store, running_store
from timelines import commands
from timelines.client import open_async_client
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

READERS = 20
PUSHED, PULLED = 200, 50
READS = 200


@dataclass(frozen=True)
class World:
    """Readers with full timelines who follow ``PULLED`` pulled authors with full outboxes."""

    address: RedisSettings
    keys: Keyspace
    settings: TimelineSettings
    readers: int = READERS

    def fill(self, client: redis.Redis) -> None:
        log = DeliveryLog(self.readers, self.readers, retweets=1 / 3, repeated=0.05, compared=self.readers)
        pushed, pulled = np.arange(10_000, 10_000 + PUSHED), np.arange(20_000, 20_000 + PULLED)
        with client.pipeline(transaction=False) as pipe:
            commands.note_beginning(pipe, self.keys)
            commands.activate(pipe, self.keys, self.settings, range(self.readers))
            commands.mark_pulled(pipe, self.keys, pulled.tolist())
            for reader in range(self.readers):
                for author in (*pushed.tolist(), *pulled.tolist()):
                    commands.set_followee(pipe, self.keys, reader, author, 1, True)
            for _ in range(self.settings.length // PUSHED + 2):
                entries = log.tweets(PUSHED)
                entries["author"] = pushed
                pairs = np.repeat(np.arange(self.readers), PUSHED), np.tile(entries, self.readers)
                commands.deliver(pipe, self.keys, self.settings, *pairs)
            for _ in range(self.settings.length):
                entries = log.tweets(PULLED)
                entries["author"] = pulled
                commands.append_outbox(pipe, self.keys, self.settings, entries)
            pipe.execute()


async def _median_ms(ask: Callable[[int], Awaitable[Any]], readers: int) -> float:
    samples = []
    for number in range(READS):
        started = time.perf_counter()
        await ask(number % readers)
        samples.append(time.perf_counter() - started)
    return statistics.median(samples) * 1000


def measure_reads(world: World) -> Figures:
    async def run() -> Figures:
        client = open_async_client(world.address, timeout_s=30)
        try:
            reader = HomeReader(client, world.keys, world.settings)
            home = await reader.read(0)
            if home.rebuilt or len(home.entries) != world.settings.length:
                raise BenchmarkRefusedError("The timeline to read is not full.")
            return {"p50_ms": await _median_ms(reader.read, world.readers)}
        finally:
            await client.aclose()

    return asyncio.run(run())


def measure_bare_trips(world: World) -> Figures:
    async def run() -> Figures:
        client = open_async_client(world.address, timeout_s=30)
        try:
            trips: list[list[Trip]] = []
            whole: list[list[Trip]] = []
            for reader in range(world.readers):
                recorder = Recorder(client)
                await HomeReader(recorder, world.keys, world.settings).read(reader)
                trips.append(recorder.trips)
                names = [world.keys.home(reader), world.keys.home_tail(reader)]
                names += world.keys.keys("outbox", range(20_000, 20_000 + PULLED))
                whole.append([[("get", (name,), {}) for name in names]])
            return {
                "p50_ms": await _median_ms(lambda reader: replay(client, trips[reader]), world.readers),
                "whole_p50_ms": await _median_ms(lambda reader: replay(client, whole[reader]), world.readers),
                "round_trips": float(len(trips[0])),
            }
        finally:
            await client.aclose()

    return asyncio.run(run())


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, without persistence."""
    with running_store() as address, open_store(address) as client:
        world = World(address, Keyspace("", address.partitions), TimelineSettings(pull_cache_ms=0))
        world.fill(client)
        yield Trial(
            "timeline-read",
            lambda: measure_reads(world),
            baseline=lambda: measure_bare_trips(world),
            ratio=("p50_ms", "p50_ms"),
            more_ratios={"ratio_whole": ("p50_ms", "whole_p50_ms")},
        )
