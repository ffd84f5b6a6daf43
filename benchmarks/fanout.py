"""Deliveries per second through the timeline store, against redis-benchmark's pipelined ZADD on one server.

20,000 home timelines are filled to 800 before the first measurement, so that every repetition trims; one in
twenty deliveries is repeated; a third of the entries are retweets; tweets have 200 followers in the mean. The
client that packs, groups and sends is one Python process, as in a stream job; redis-benchmark is C. After
each repetition a sample of the timelines is compared with a plain fold of all that was delivered.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import redis

from benchmarks.deliveries import DeliveryLog
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.store import open_store, running_store
from timelines.cells import CELL_BYTES, pack_cells
from timelines.delivery import deliver
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings
from timelines.timeline import Header, decode_home, newest, tail_head, tail_limits

READERS = 20_000
FOLLOWERS = 200
TWEETS_A_BATCH = 200
"""40,000 deliveries: what comes together in some tens of milliseconds at the rate to reach."""
BATCHES = 25
REPEATED = 0.05
RETWEETS = 1 / 3
PARTITIONS = (16, 1, 64, 1024)
COMPARED = 50
ZADDS = 2_000_000
PIPELINE, CLIENTS = 64, 20


@dataclass
class FanOut:
    """So many full home timelines under so many partitions."""

    client: redis.Redis
    partitions: int
    readers: int = READERS
    settings: TimelineSettings = field(default_factory=TimelineSettings)

    def __post_init__(self) -> None:
        self.keys = Keyspace(f"bench{self.partitions}", self.partitions)
        self.log = DeliveryLog(self.readers, FOLLOWERS, RETWEETS, REPEATED, COMPARED)

    def fill(self) -> None:
        """Full timelines at all stages between two trims, stored as the functions store them."""
        length, slack = self.settings.length, self.settings.slack
        entries = self.log.tweets(length + 2 * slack)
        settled, _ = pack_cells(entries[:length])
        cells = len(settled) // CELL_BYTES
        head = Header(True, length, generation=1, used=cells, sorted_cells=cells, capacity=cells)
        later, places = pack_cells(entries[length:])
        room = tail_limits(np.arange(self.readers), slack) - CELL_BYTES
        reached = np.searchsorted(places, self.log.rng.random(self.readers) * room)
        with self.client.pipeline(transaction=False) as pipe:
            for reader in range(self.readers):
                count = int(reached[reader])
                pipe.set(self.keys.home(reader), head.pack() + settled)
                pipe.set(self.keys.home_tail(reader), tail_head(1) + later[: places[count]])
                self.log.remember(reader, entries[: length + count])
                if reader % 1000 == 999:
                    pipe.execute()

    def deliver(self) -> float:
        """Deliveries per second over some batches, one after the other.

        Raises:
            BenchmarkRefusedError: a timeline is not what the fold of its deliveries is.
        """
        batches = [self.log.batch(TWEETS_A_BATCH) for _ in range(BATCHES)]
        started = time.perf_counter()
        for readers, entries in batches:
            deliver(self.client, self.keys, self.settings, readers, entries)
        seconds = time.perf_counter() - started
        self._compare()
        return sum(len(readers) for readers, _ in batches) / seconds

    def _compare(self) -> None:
        for reader in self.log.sample.tolist():
            home = decode_home(*self.client.mget(self.keys.home(reader), self.keys.home_tail(reader)))
            expected = newest(self.log.delivered(reader), self.settings.length)
            if home is None or newest(home.entries, self.settings.length).tolist() != expected.tolist():
                raise BenchmarkRefusedError(f"Reader {reader}'s timeline is not the fold of its deliveries.")


def redis_benchmark() -> str:
    """Where the program is.

    Raises:
        BenchmarkRefusedError: it is not installed.
    """
    program = shutil.which("redis-benchmark")
    if program is None:
        raise BenchmarkRefusedError("redis-benchmark is missing: install Debian's redis-tools.")
    return program


def zadd(address: RedisSettings, client: redis.Redis, sets: int = READERS) -> Figures:
    """The baseline: one member with a score into one of as many sorted sets, pipelined."""
    program = redis_benchmark()
    url = urlsplit(address.url)
    where = ["-h", str(url.hostname), "-p", str(url.port)]
    load = ["-P", str(PIPELINE), "-c", str(CLIENTS), "-n", str(ZADDS), "-r", str(sets), "--csv"]
    command = [program, *where, *load, "ZADD", "t:__rand_int__", "__rand_int__", "__rand_int__"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    zadds = float(next(csv.DictReader(run.stdout.splitlines()))["rps"])
    for keys in _chunks(client):
        client.unlink(*keys)
    return {"zadds_per_s": zadds}


def _chunks(client: redis.Redis) -> Iterator[list[bytes]]:
    found = list(client.scan_iter("t:*", count=10_000))
    for start in range(0, len(found), 1000):
        yield found[start : start + 1000]


def _name(partitions: int) -> str:
    """The figure at so many partitions; that of the local default has the plain name."""
    return f"deliveries_per_s{'' if partitions == PARTITIONS[0] else f'_{partitions}'}"


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, without persistence.

    Raises:
        BenchmarkRefusedError: redis-benchmark is not installed.
    """
    redis_benchmark()
    with running_store() as address, open_store(address) as client:
        stores = {partitions: FanOut(client, partitions) for partitions in PARTITIONS}
        for store in stores.values():
            store.fill()
        yield Trial(
            "fanout",
            lambda: {_name(partitions): store.deliver() for partitions, store in stores.items()},
            baseline=lambda: zadd(address, client),
            ratio=(_name(16), "zadds_per_s"),
            more_ratios={
                f"ratio_{partitions}": (_name(partitions), "zadds_per_s") for partitions in PARTITIONS[1:]
            },
        )
