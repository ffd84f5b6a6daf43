"""Events per second through the ``engagement`` job on one slot, until their counts can be read in the store.

The job runs on the local stack's own Kafka, Valkey and Flink. A repetition writes its events at once, far
faster than the job reads them, and times the job between two sets of probes: events about something of their
own that stand in every partition behind the first third and at the end. ``delay_ms`` is what probes wait when
nothing else goes on. The baseline is a confluent-kafka consumer that reads the same records in batches and
decodes them with orjson, and does nothing with them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from confluent_kafka import Producer

from benchmarks.consumer import records_per_s
from benchmarks.engagement_events import PROBES, EventLog, Record
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.stack import NAMESPACE, running_stack
from benchmarks.store import open_store
from features.names import TWEET_SHOWINGS
from features.rows import row_key
from ingestion.admin import end_offsets
from ingestion.settings import KafkaSettings
from ingestion.topics import FOLLOWS, IMPRESSIONS
from pipelines.jobs import JOB_TOPICS
from stack import lifecycle
from stack.plan import Plan
from timelines.keys import Keyspace
from timelines.settings import RedisSettings

JOB = "engagement"
EVENTS = 300_000
LEAD = EVENTS // 3
DELAYS = 8
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
        """One repetition: the rate between the probes, and the processor time per event meanwhile."""
        self.before = end_offsets(self.kafka, NAMESPACE, TOPICS)
        records = [*self.log.take(LEAD)], [*self.log.take(EVENTS - LEAD)]
        producer = Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "queue.buffering.max.messages": 0,
                "log_level": 0,
            }
        )
        marks = [self._write(producer, part) for part in records]
        producer.flush()
        started, spent = self._await(marks[0]), self._spent()
        ended = self._await(marks[1])
        seconds = ended - started
        jvm, store = (now - then for now, then in zip(self._spent(), spent, strict=True))
        read = EVENTS - LEAD
        delays = [self._delay(producer) for _ in range(DELAYS)]
        return {
            "delay_ms_p50": statistics.median(delays),
            "delay_ms_max": max(delays),
            "events_per_s": read / seconds,
            "job_cpu_us": 1e6 * jvm / read,
            "store_cpu_us": 1e6 * store / read,
        }

    def _delay(self, producer: Any) -> float:
        """Milliseconds from handing probes to the log until all of their counts are readable."""
        started = time.perf_counter()
        probes = self._write(producer, ())
        producer.flush()
        return 1000 * (self._await(probes) - started)

    def consume(self) -> Figures:
        """The baseline, over the records of the repetition before it."""
        return {"events_per_s": records_per_s(self.kafka, NAMESPACE, TOPICS, self.before)}

    def _write(self, producer: Any, records: Sequence[Record]) -> list[str]:
        """Writes records and a probe behind them in each partition; returns the keys that probes make."""
        for topic, key, value in records:
            producer.produce(topic.full_name(NAMESPACE), value, key)
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
        """Processor seconds of Flink's processes and of the store's, so far."""
        state = lifecycle.running(self.plan.layout)
        spent = {"flink": 0.0, "valkey": 0.0}
        for server in state.servers if state else ():
            if server.name.split("-")[0] in spent and server.process and (p := server.process.process()):
                family = [p, *p.children(recursive=True)]
                spent[server.name.split("-")[0]] += sum(_seconds(member) for member in family)
        return spent["flink"], spent["valkey"]


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def trial() -> Iterator[Trial]:
    """Kafka, Valkey and Flink of their own, with the job in its one slot."""
    with running_stack(("kafka", "valkey", "flink"), (JOB,), slots=1, valkey_mb=3072) as plan:
        kafka = KafkaSettings(bootstrap=f"127.0.0.1:{plan.ports['kafka']}")
        address = RedisSettings(url=f"redis://127.0.0.1:{plan.ports['valkey']}/0")
        with open_store(address) as store:
            stream = EngagementStream(plan, kafka, store)
            yield Trial(
                "engagement-stream",
                stream.run,
                baseline=stream.consume,
                ratio=("events_per_s", "events_per_s"),
            )
