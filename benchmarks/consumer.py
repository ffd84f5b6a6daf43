"""The baseline of stream jobs: a consumer that only reads in batches and decodes with orjson."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import orjson
from confluent_kafka import Consumer, TopicPartition

from benchmarks.harness import BenchmarkRefusedError
from ingestion.offsets import end_offsets
from ingestion.settings import KafkaSettings
from ingestion.topics import Topic

BATCH = 10_000
PATIENCE_S = 60.0


def records_per_s(
    kafka: KafkaSettings, namespace: str, topics: Sequence[Topic], begin: Mapping[tuple[str, int], int]
) -> float:
    """The rate from the first record on, of all records behind the offsets ``begin``."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "baseline",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": 65_536,
        }
    )
    consumer.assign([TopicPartition(topic, part, at) for (topic, part), at in begin.items()])
    total = sum(end_offsets(kafka, namespace, topics).values()) - sum(begin.values())
    first = len(consumer.consume(1, timeout=PATIENCE_S))
    if not first:
        raise BenchmarkRefusedError("Kafka handed no record to the baseline's consumer.")
    started, left = time.perf_counter(), total - first
    while left > 0:
        messages = consumer.consume(BATCH, timeout=1.0)
        for message in messages:
            orjson.loads(message.value())
        left -= len(messages)
    seconds = time.perf_counter() - started
    consumer.close()
    return (total - first) / seconds
