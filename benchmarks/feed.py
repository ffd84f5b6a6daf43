"""The ranked feed over HTTP, beside the chronological feed of the same server.

One uvicorn worker with a model of two heads (200 trees of 31 leaves) over a seeded Valkey: 800 appearances a
reader. Everything is on one machine, the load generator too. ``full_share`` is the share of answers that were
ranked (there is no deadline to speak of), ``cpu_ms`` the service's own processor time for one request.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.feed_model import write_model
from benchmarks.feed_service import model_folder, running_service, security_of
from benchmarks.feed_world import World, seed
from benchmarks.harness import Figures, Trial
from benchmarks.load import drive, get
from benchmarks.service import HOST
from benchmarks.store import open_store, running_store
from ingestion.tokens import mint
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

REQUESTS = 200
CONNECTIONS = 4
LIMIT = 20
FULL = b'"rung":"full"'
CHRONOLOGICAL = b'"rung":"chronological"'


@dataclass(frozen=True)
class FeedLoad:
    """A running service, and a token for each of its readers."""

    port: int
    process: psutil.Process
    tokens: Sequence[str]

    def ranked(self) -> Figures:
        return self._ask("ranked", FULL, "full_share")

    def chronological(self) -> Figures:
        return self._ask("chronological", CHRONOLOGICAL, "chronological_share")

    def _ask(self, algorithm: str, expected: bytes, share: str) -> Figures:
        path = f"/v1/feed?algorithm={algorithm}&limit={LIMIT}"
        requests = [get(path, HOST, self.tokens[n % len(self.tokens)]) for n in range(REQUESTS)]
        before = self.process.cpu_times()
        outcome = asyncio.run(drive(HOST, self.port, requests, CONNECTIONS, expected))
        after = self.process.cpu_times()
        p50, p99 = np.percentile(np.array(outcome.seconds) * 1000, [50, 99])
        cpu = after.user + after.system - before.user - before.system
        return {
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "rps": REQUESTS / outcome.wall,
            "cpu_ms": cpu * 1000 / REQUESTS,
            share: outcome.expected / REQUESTS,
            "errors_5xx": outcome.errors_5xx,
        }


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey and a ranking service of their own.

    Raises:
        BenchmarkRefusedError: the service does not start.
    """
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder, running_store() as address:
        home = Path(folder)
        with open_store(address) as client:
            keys = Keyspace("", RedisSettings().partitions)
            world = seed(client, keys, TimelineSettings(), time.time_ns() // 1_000_000, readers=20)
        write_model(model_folder(home))
        settings = {"TIDELINE_SERVING__DEADLINE_MS": "60000"}
        with running_service(home, address.url, settings) as (port, process):
            load = FeedLoad(port, process, _tokens(home, world))
            yield Trial("feed", load.ranked, load.chronological, ("p50_ms", "p50_ms"))


def _tokens(home: Path, world: World) -> list[str]:
    return [mint(security_of(home), reader, int(time.time())) for reader in world.readers]
