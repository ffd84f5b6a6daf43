"""Events per second through the ``engagement`` job on one slot, until their counts can be read in the store.

The job runs on the local stack's own Kafka, Valkey and Flink. A repetition writes its events at once, far
faster than the job reads them, and times from the first write until probes have come out: events about
something of their own that stand at the end of every partition. ``delay_ms`` is what probes wait when
nothing else goes on, ``loaded_delay_ms`` while events arrive at half of that rate. The baseline is a
confluent-kafka consumer that reads the same records in batches and decodes them with orjson, and does
nothing with them.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
from confluent_kafka import Producer

from benchmarks.consumer import records_per_s
from benchmarks.engagement_events import PROBES, EventLog, Record
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.stack import NAMESPACE, running_stack
from benchmarks.store import open_store
from features.names import TWEET_SHOWINGS
from features.rows import row_key
from ingestion.offsets import end_offsets
from ingestion.settings import KafkaSettings
from ingestion.topics import FOLLOWS, IMPRESSIONS
from pipelines.jobs import JOB_TOPICS
from stack import lifecycle
from stack.plan import Plan
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

JOB = "engagement"
EVENTS = 300_000
DELAYS = 8
# By then the JVM has compiled what Flink SQL generates: until then an event costs up to twice as much.
WARMUPS = 3
# State grows with every event (nobody likes twice), by some 630 bytes of heap, and so do the store's rows.
SIZES_MB = {"taskmanager_mb": 6144, "valkey_mb": 3072}
LOADED_S = 10.0
PROBE_EVERY_S = 0.2
FIRST_PROBE = 1 << 40
PATIENCE_S = 300.0
TOPICS = JOB_TOPICS[JOB]


@dataclass
class EngagementStream:
    """A running job, and the log that it reads."""

    plan: Plan
    kafka: KafkaSettings
    store: Any
    log: EventLog = field(default_factory=EventLog)
    probes: int = FIRST_PROBE
    before: dict[tuple[str, int], int] = field(default_factory=dict)

    def run(self) -> Figures:
        """One repetition: the rate over all of its events, and the processor time of each."""
        self.before = end_offsets(self.kafka, NAMESPACE, TOPICS)
        records = [*self.log.take(EVENTS)]
        producer = Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "queue.buffering.max.messages": 0,
                "log_level": 0,
            }
        )
        started, spent = time.perf_counter(), self._spent()
        last = self._write(producer, records)
        producer.flush()
        seconds = self._await(last) - started
        jvm, store = (now - then for now, then in zip(self._spent(), spent, strict=True))
        delays = [self._delay(producer) for _ in range(DELAYS)]
        loaded = self._loaded_delays(producer, EVENTS / seconds / 2)
        return {
            "delay_ms_p50": statistics.median(delays),
            "delay_ms_max": max(delays),
            "loaded_delay_ms_p50": statistics.median(loaded),
            "loaded_delay_ms_p99": float(np.percentile(loaded, 99)),
            "events_per_s": EVENTS / seconds,
            "job_cpu_us": 1e6 * jvm / EVENTS,
            "store_cpu_us": 1e6 * store / EVENTS,
        }

    def _delay(self, producer: Any) -> float:
        """Milliseconds from handing probes to the log until all of their counts are readable."""
        started = time.perf_counter()
        probes = self._write(producer, ())
        producer.flush()
        return 1000 * (self._await(probes) - started)

    def _loaded_delays(self, producer: Any, events_per_s: float) -> list[float]:
        """The same while events arrive at this rate for ``LOADED_S``, for probes at even intervals."""
        records = [*self.log.take(int(events_per_s * LOADED_S))]
        waiting: deque[tuple[float, list[str]]] = deque()
        delays: list[float] = []
        started, written, probes = time.perf_counter(), 0, 0
        while written < len(records) or waiting:
            now = time.perf_counter() - started
            due = min(int(now * events_per_s), len(records))
            _produce(producer, records[written:due])
            written = due
            if now >= probes * PROBE_EVERY_S and now < LOADED_S:
                waiting.append((time.perf_counter(), self._write(producer, ())))
                probes += 1
            while waiting and self.store.exists(*waiting[0][1]) == len(waiting[0][1]):
                delays.append(1000 * (time.perf_counter() - waiting.popleft()[0]))
            if now > PATIENCE_S:
                raise BenchmarkRefusedError(f"The job did not read its log within {PATIENCE_S:.0f} s.")
            time.sleep(0.005)
        return delays

    def consume(self) -> Figures:
        """The baseline, over the records of the repetition before it."""
        return {"events_per_s": records_per_s(self.kafka, NAMESPACE, TOPICS, self.before)}

    def _write(self, producer: Any, records: Sequence[Record]) -> list[str]:
        """Writes records and a probe behind them in each partition; returns the keys that probes make."""
        _produce(producer, records)
        keys = Keyspace(NAMESPACE, RedisSettings().partitions)
        made = []
        for topic in PROBES:
            for partition in range(topic.partitions):
                self.probes += 1
                _, key, value = self.log.probe(topic, self.probes)
                producer.produce(topic.full_name(NAMESPACE), value, key, partition=partition)
                made.append(
                    {
                        FOLLOWS: keys.account_counts(self.probes),
                        IMPRESSIONS: row_key(keys, TWEET_SHOWINGS, [self.probes]),
                    }.get(topic, keys.counts(self.probes))
                )
        return made

    def _await(self, keys: Sequence[str]) -> float:
        deadline = time.perf_counter() + PATIENCE_S
        while self.store.exists(*keys) < len(keys):
            if time.perf_counter() > deadline:
                raise BenchmarkRefusedError(f"The job did not read its log within {PATIENCE_S:.0f} s.")
            time.sleep(0.005)
        return time.perf_counter()

    def _spent(self) -> tuple[float, float]:
        """Processor seconds of the TaskManager and of the store, so far."""
        state = lifecycle.running(self.plan.layout)
        spent = dict.fromkeys(("taskmanager", "valkey"), 0.0)
        for server in state.servers if state else ():
            if server.name in spent and server.process and (process := server.process.process()):
                spent[server.name] += _seconds(process)
        return spent["taskmanager"], spent["valkey"]


def _produce(producer: Any, records: Sequence[Record]) -> None:
    for topic, key, value in records:
        producer.produce(topic.full_name(NAMESPACE), value, key)


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def trial() -> Iterator[Trial]:
    """Kafka, Valkey and Flink of their own, with the job in its one slot."""
    with running_stack(("kafka", "valkey", "flink"), (JOB,), slots=1, **SIZES_MB) as plan:
        kafka = KafkaSettings(bootstrap=f"127.0.0.1:{plan.ports['kafka']}")
        address = RedisSettings(url=f"redis://127.0.0.1:{plan.ports['valkey']}/0")
        with open_store(address) as store:
            stream = EngagementStream(plan, kafka, store)
            yield Trial(
                "engagement-stream",
                stream.run,
                baseline=stream.consume,
                ratio=("events_per_s", "events_per_s"),
                warmups=WARMUPS,
            )
