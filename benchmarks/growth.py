"""How the cost of writing and reading timelines grows: 10,000, 100,000 and 1,000,000 users on one server.

Every user has a timeline at its full length, which is 100 here so that a million fit, at all stages between
two trims. Deliveries are those of ``fanout``, beside redis-benchmark's ZADD over as many sorted sets. Reads
are those of ``timeline-read``, by 200 further readers with 800 entries and 50 pulled authors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.fanout import FanOut, redis_benchmark, zadd
from benchmarks.harness import Figures, Trial
from benchmarks.store import open_store, running_store
from benchmarks.timeline_read import World, measure_reads
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
LENGTH, SLACK = 100, 50
READERS = 200


def grown(address: RedisSettings, client: redis.Redis) -> Figures:
    """Deliveries per second and milliseconds a read, at each size."""
    figures = {}
    for name, users in SIZES.items():
        client.execute_command("FLUSHALL", "SYNC")
        world = World(
            address,
            Keyspace("readers", address.partitions),
            TimelineSettings(pull_cache_ms=0),
            readers=READERS,
        )
        world.fill(client)
        small = TimelineSettings(length=LENGTH, slack=SLACK)
        store = FanOut(client, address.partitions, readers=users, settings=small)
        store.fill()
        figures[f"deliveries_per_s_{name}"] = store.deliver()
        figures[f"read_ms_{name}"] = measure_reads(world)["p50_ms"]
    return figures


def sorted_sets(address: RedisSettings, client: redis.Redis) -> Figures:
    """ZADDs per second at each size."""
    client.execute_command("FLUSHALL", "SYNC")
    return {
        f"zadds_per_s_{name}": zadd(address, client, users)["zadds_per_s"] for name, users in SIZES.items()
    }


@contextmanager
def trial() -> Iterator[Trial]:
    """A server of its own, without persistence.

    Raises:
        BenchmarkRefusedError: redis-benchmark is not installed.
    """
    redis_benchmark()
    with running_store() as address, open_store(address) as client:
        yield Trial(
            "growth",
            lambda: grown(address, client),
            baseline=lambda: sorted_sets(address, client),
            warmups=0,
            more_ratios={
                f"ratio_{name}": (f"deliveries_per_s_{name}", f"zadds_per_s_{name}") for name in SIZES
            },
        )
