"""Reads the log as it is: records of whole topics, to where they ended when the reading began."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from ingestion.offsets import Place, end_offsets
from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import Topic

BATCH = 5000
WAIT_S = 0.1
SILENCE_S = 10.0
REQUEST_S = 15.0

Progress = Callable[[int, int], None]
"""Told (records read, records in all)."""


def read_records(
    settings: KafkaSettings,
    namespace: str,
    topics: Sequence[Topic],
    *,
    from_ms: int | None = None,
    progress: Progress = lambda read, total: None,
) -> Iterator[Message]:
    """Every record of these topics, in order within a partition, or those appended since ``from_ms`` (UTC).

    Raises:
        LogUnavailableError: the broker does not answer, or falls silent before the end.
    """
    ends = {place: end for place, end in end_offsets(settings, namespace, topics).items() if end > 0}
    with open_consumer(settings) as consumer:
        starts = dict.fromkeys(ends, OFFSET_BEGINNING) if from_ms is None else _at(consumer, ends, from_ms)
        yield from _read(consumer, starts, {place: ends[place] for place in starts}, progress)


def read_between(consumer: Consumer, place: Place, start: int, end: int) -> Iterator[Message]:
    """The records of one partition from an offset to before another; nothing where they are deleted.

    Raises:
        LogUnavailableError: the broker falls silent before the end.
    """
    yield from _read(consumer, {place: start}, {place: end}, lambda read, total: None)


@contextmanager
def open_consumer(settings: KafkaSettings) -> Iterator[Consumer]:
    """A consumer for ``read_between``, without a group that it would commit for.

    Raises:
        LogUnavailableError: Kafka failed inside the block.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap,
            "group.id": "tideline-log",
            "enable.auto.commit": False,
            # A start that retention has deleted is the beginning of what is left.
            "auto.offset.reset": "earliest",
            # How soon the end of a partition is noticed.
            "fetch.wait.max.ms": 50,
            # A compacted partition may end before its last offset.
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        yield consumer
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error
    finally:
        consumer.close()


def _at(consumer: Consumer, ends: dict[Place, int], from_ms: int) -> dict[Place, int]:
    """The offset of the first record of that time or later, of the partitions that have one."""
    asked = [TopicPartition(name, number, from_ms) for name, number in ends]
    found = consumer.offsets_for_times(asked, timeout=REQUEST_S)
    return {(part.topic, part.partition): part.offset for part in found if part.offset >= 0}


def _read(
    consumer: Consumer, starts: dict[Place, int], ends: dict[Place, int], progress: Progress
) -> Iterator[Message]:
    left = {place: end for place, end in ends.items() if end > max(starts[place], 0)}
    total, read = sum(end - max(starts[place], 0) for place, end in left.items()), 0
    consumer.assign([TopicPartition(name, number, starts[name, number]) for name, number in left])
    heard = time.monotonic()
    while left:
        # Blocks until so many records are there or the time is over, not until there is one.
        records = consumer.consume(BATCH, timeout=WAIT_S)
        if records:
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENCE_S:
            raise LogUnavailableError(f"Kafka fell silent for {SILENCE_S:.0f} s before the end of the log.")
        for record in records:
            place, error = (record.topic(), record.partition()), record.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise LogUnavailableError(f"Kafka does not answer: {error.str()}.")
            if error is None and place in left and starts[place] <= record.offset() < left[place]:
                yield record
            if error is not None or record.offset() + 1 >= left.get(place, 0):
                left.pop(place, None)
        read += len(records)
        progress(min(read, total), total)
    progress(total, total)
