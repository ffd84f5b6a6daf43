"""Tweets per second through the ``trends`` job on one slot, words included, until the lists can be read.

Real tweets (texts, hashtags, languages and places of ``public_stream``, over and over, by ever new authors),
1,000 a second of event time, written at once. A repetition times the job between two moments of its lists:
behind the first third of the tweets and behind the last. The baseline is ``consumer.py`` on the same records.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import redis
from confluent_kafka import Producer

from benchmarks.consumer import records_per_s
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.stack import NAMESPACE, running_stack
from ingestion.clock import no_shift
from ingestion.datasets.dataset import DatasetError
from ingestion.datasets.public_stream import PublicStream
from ingestion.events import ClockAdvanced, TweetCreated, encode
from ingestion.offsets import end_offsets
from ingestion.settings import KafkaSettings
from ingestion.topics import TWEETS
from pipelines.trends.places import WORLD
from pipelines.trends.plan import WINDOWS
from timelines.bodies import decode_trends
from timelines.durations import MINUTE_MS
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

TWEETS_A_MINUTE = 60_000
MINUTES = 6
# By then the JVM has compiled what it runs, and as many pairs are kept as ever will be.
WARMUPS = 3
LEAD_MINUTES = 2
START_MS = 1_767_571_200_000
PATIENCE_S = 200.0


@dataclass
class TrendsStream:
    """A running job over a log that grows by ``MINUTES`` of event time a repetition."""

    kafka: KafkaSettings
    store: Any
    tweets: list[TweetCreated]
    minute: int = 0
    written: int = 0
    before: dict[tuple[str, int], int] = field(default_factory=dict)

    def run(self) -> Figures:
        """One repetition."""
        self.before = end_offsets(self.kafka, NAMESPACE, (TWEETS,))
        ends = [self.minute + LEAD_MINUTES, self.minute + MINUTES]
        reached: list[float] = []
        watch = threading.Thread(target=self._watch, args=(ends, reached), daemon=True)
        parts = [self._records(self.minute, ends[0]), self._records(ends[0], ends[1])]
        watch.start()
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "queue.buffering.max.messages": 0})
        name = TWEETS.full_name(NAMESPACE)
        for end, part in zip(ends, parts, strict=True):
            for key, value in part:
                producer.produce(name, value, key)
            clock = encode(ClockAdvanced(event_id=f"c{end}", ts=START_MS + end * MINUTE_MS - 1))
            for partition in range(TWEETS.partitions):
                producer.produce(name, clock, b"clock", partition=partition)
        producer.flush()
        self.minute = ends[1]
        watch.join()
        if len(reached) < len(ends):
            raise BenchmarkRefusedError(f"The job did not read its log within {PATIENCE_S:.0f} s.")
        return {"tweets_per_s": (MINUTES - LEAD_MINUTES) * TWEETS_A_MINUTE / (reached[1] - reached[0])}

    def consume(self) -> Figures:
        """The baseline, over the records of the repetition before it."""
        return {"tweets_per_s": records_per_s(self.kafka, NAMESPACE, (TWEETS,), self.before)}

    def _records(self, begin: int, end: int) -> list[tuple[bytes, bytes]]:
        """Keys and values of the tweets of these minutes."""
        records = []
        for number in range(begin * TWEETS_A_MINUTE, end * TWEETS_A_MINUTE):
            tweet = self.tweets[number % len(self.tweets)]
            author = 1 + number // 3
            made = msgspec.structs.replace(
                tweet,
                event_id=f"b{number}",
                ts=START_MS + number * MINUTE_MS // TWEETS_A_MINUTE,
                tweet_id=number,
                author_id=author,
            )
            records.append((b"%d" % author, encode(made)))
        return records

    def _watch(self, ends: list[int], reached: list[float]) -> None:
        """When the lists have come to the ends of these minutes."""
        key = Keyspace(NAMESPACE, RedisSettings().partitions).trends(WORLD, WINDOWS[0].name)
        deadline = time.perf_counter() + PATIENCE_S
        for end in ends:
            while True:
                now = time.perf_counter()
                found = decode_trends(self.store.get(key))
                if found is not None and found.as_of >= START_MS + end * MINUTE_MS:
                    reached.append(now)
                    break
                if now > deadline:
                    return
                time.sleep(0.005)


@contextmanager
def trial() -> Iterator[Trial]:
    """Kafka, Valkey and Flink of their own, with the job in its one slot."""
    try:
        dataset = PublicStream(Path(os.environ.get("TIDELINE_DATA", "../shared/data")))
    except DatasetError as error:
        raise BenchmarkRefusedError(str(error)) from error
    tweets = [
        event for event in dataset.events(no_shift(dataset.recordings)) if isinstance(event, TweetCreated)
    ]
    with running_stack(("kafka", "valkey", "flink"), ("trends",), slots=1, valkey_mb=256) as plan:
        kafka = KafkaSettings(bootstrap=f"127.0.0.1:{plan.ports['kafka']}")
        with redis.Redis(port=plan.ports["valkey"]) as store:
            stream = TrendsStream(kafka, store, [tweet for tweet in tweets if tweet.text])
            yield Trial(
                "trends-stream",
                stream.run,
                baseline=stream.consume,
                ratio=("tweets_per_s", "tweets_per_s"),
                warmups=WARMUPS,
            )
