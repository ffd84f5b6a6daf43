"""Deliveries per second from Kafka to readable, through the ``timelines`` job in one slot of a real cluster.

Full timelines, authors with 100 followers in the mean, tweets put on the log at once and read by the running
job. A repetition ends when a sample of readers has all it must have; each of them is compared with a fold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import redis
from confluent_kafka import Producer

from benchmarks.deliveries import FIRST_ID
from benchmarks.fanout import READERS, zadd
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.stack import NAMESPACE, running_stack
from benchmarks.store import open_store
from ingestion.events import Event, FollowChanged, TweetCreated, encode
from ingestion.topics import route
from timelines import commands
from timelines.entry import ENTRY_DTYPE, Entries
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings
from timelines.timeline import decode_home, newest

AUTHORS = 1000
FOLLOWERS = 100
TWEETS = 20_000
SAMPLED = 50
PATIENCE_S = 300.0


@dataclass
class Stream:
    """A running job over full timelines; each repetition puts ``TWEETS`` tweets on the log."""

    producer: Producer
    client: redis.Redis
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    next_id: int = FIRST_ID
    followers: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = field(default_factory=list)
    expected: dict[int, list[int]] = field(default_factory=dict)

    keys = Keyspace(NAMESPACE, RedisSettings().partitions)
    settings = TimelineSettings()

    def follow(self) -> None:
        """Every author gets followers; authors have the ids after the readers'."""
        counts = self.rng.poisson(FOLLOWERS, AUTHORS)
        self.followers = [self.rng.choice(READERS, count, replace=False) for count in counts]
        for author, followers in enumerate(self.followers, READERS):
            self.put(
                FollowChanged(
                    event_id=f"f{author}-{reader}", ts=1, follower_id=reader, followee_id=author, active=True
                )
                for reader in followers.tolist()
            )
        self.expected = {reader: [] for reader in range(0, READERS, READERS // SAMPLED)}

    def fill(self) -> None:
        """Give every reader as many older entries as a timeline keeps, by an author whom all follow."""
        pipe = self.client.pipeline(transaction=False)
        commands.activate(pipe, self.keys, self.settings, range(READERS))
        pipe.execute()
        for start in range(0, self.settings.length, 2):
            entries: Entries = np.zeros(2, dtype=ENTRY_DTYPE)
            entries["appearance"] = entries["original"] = start + np.arange(1, 3)
            readers = np.tile(np.arange(READERS), 2)
            commands.deliver(pipe, self.keys, self.settings, readers, np.repeat(entries, READERS))
            pipe.execute()

    def put(self, events: Iterator[Event]) -> None:
        """On the log, as the API's publisher routes them."""
        for event in events:
            topic, key = route(event)
            self.producer.produce(topic.full_name(NAMESPACE), encode(event), key)
            self.producer.poll(0)
        self.producer.flush()

    def run(self) -> Figures:
        """One repetition."""
        authors = self.rng.integers(0, AUTHORS, TWEETS)
        ids = self.next_id + np.arange(TWEETS) * 4096
        self.next_id += TWEETS * 4096
        for author, tweet_id in zip(authors.tolist(), ids.tolist(), strict=True):
            for reader in np.intersect1d(self.followers[author], list(self.expected)).tolist():
                self.expected[reader].append(tweet_id)
        tweets = [
            TweetCreated(event_id=f"t{i}", ts=1, tweet_id=i, author_id=READERS + a, text=None)
            for a, i in zip(authors.tolist(), ids.tolist(), strict=True)
        ]
        deliveries = sum(len(self.followers[author]) + 1 for author in authors.tolist())
        started = time.perf_counter()
        self.put(iter(tweets))
        self._await_readable()
        seconds = time.perf_counter() - started
        return {"deliveries_per_s": deliveries / seconds, "tweets_per_s": TWEETS / seconds}

    def _await_readable(self) -> None:
        deadline = time.perf_counter() + PATIENCE_S
        waiting = [reader for reader, ids in self.expected.items() if ids]
        while waiting:
            if time.perf_counter() > deadline:
                raise BenchmarkRefusedError(f"{len(waiting)} of {SAMPLED} readers lack entries.")
            pipe = self.client.pipeline(transaction=False)
            for reader in waiting:
                pipe.mget(self.keys.home(reader), self.keys.home_tail(reader))
            stored = pipe.execute()
            waiting = [r for r, home in zip(waiting, stored, strict=True) if not self._complete(r, *home)]
            time.sleep(0.05)

    def _complete(self, reader: int, settled: bytes | None, tail: bytes | None) -> bool:
        """Whether the newest entries are those of the fold."""
        length = self.settings.length
        home = decode_home(settled, tail)
        found = [] if home is None else newest(home.entries, length)["appearance"].tolist()
        wanted = sorted(self.expected[reader], reverse=True)[:length]
        return bool(found[: len(wanted)] == wanted)


@contextmanager
def trial() -> Iterator[Trial]:
    """Kafka, Valkey and Flink of their own, with the ``timelines`` job in its one slot."""
    with running_stack(("kafka", "valkey", "flink"), ("timelines",), slots=1, valkey_mb=3072) as plan:
        address = RedisSettings(url=f"redis://127.0.0.1:{plan.ports['valkey']}/0")
        log = {"bootstrap.servers": f"127.0.0.1:{plan.ports['kafka']}", "linger.ms": 20, "log_level": 0}
        with open_store(address) as client:
            stream = Stream(Producer(log), client)
            stream.fill()
            stream.follow()
            yield Trial(
                "fanout-stream",
                stream.run,
                baseline=lambda: zadd(address, client),
                ratio=("deliveries_per_s", "zadds_per_s"),
            )
