"""What the log has kept: until when its records may have been deleted."""

from __future__ import annotations

import time

from confluent_kafka import Consumer

from ingestion.log import open_consumer, read_between
from ingestion.offsets import Place, end_offsets, start_offsets
from ingestion.settings import KafkaSettings
from ingestion.topics import Topic


def deleted_until(settings: KafkaSettings, namespace: str, topic: Topic) -> int | None:
    """The moment (ms UTC) before which the log may have deleted records of a topic; None where it has all.

    Every deleted record was appended before it.

    Raises:
        LogUnavailableError: the broker does not answer.
    """
    starts = start_offsets(settings, namespace, [topic])
    ends = end_offsets(settings, namespace, [topic])
    with open_consumer(settings) as consumer:
        moments = [
            _appended_ms(consumer, place, start, ends[place]) for place, start in starts.items() if start > 0
        ]
    return max(moments, default=None)


def _appended_ms(consumer: Consumer, place: Place, start: int, end: int) -> int:
    """When the first record that is left of a partition was appended; now, where none is left."""
    if start < end:
        for record in read_between(consumer, place, start, start + 1):
            moment: int = record.timestamp()[1]
            return moment
    return time.time_ns() // 1_000_000
