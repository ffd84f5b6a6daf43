"""Reads the whole log, from the first record to where it ended when the reading began."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from ingestion.admin import end_offsets
from ingestion.events import AnyEvent, MalformedEventError, decode
from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import Topic

BATCH = 5000
BATCH_S = 5.0


def read_log(
    settings: KafkaSettings, namespace: str, topics: Sequence[Topic], progress: Callable[[int, int], None]
) -> Iterator[AnyEvent]:
    """Every well-formed event of these topics; malformed ones are passed over, as the stream jobs do.

    Args:
        progress: told (records read, records in all) after each batch.

    Raises:
        LogUnavailableError: the broker does not answer, or falls silent before the end.
    """
    ends = {place: end for place, end in end_offsets(settings, namespace, topics).items() if end > 0}
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap,
            "group.id": "tideline-verify",
            "enable.auto.commit": False,
            # A compacted partition may end before its last offset.
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    total, read = sum(ends.values()), 0
    try:
        consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name, number in ends])
        while ends:
            records = consumer.consume(BATCH, timeout=BATCH_S)
            if not records:
                raise LogUnavailableError(f"Kafka fell silent for {BATCH_S:.0f} s before the end of the log.")
            for record in records:
                place, error = (record.topic(), record.partition()), record.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise LogUnavailableError(f"Kafka does not answer: {error.str()}.")
                if error is None and record.value() is not None:
                    with contextlib.suppress(MalformedEventError):
                        yield decode(record.value())
                if error is not None or record.offset() + 1 >= ends.get(place, 0):
                    ends.pop(place, None)
            read += len(records)
            progress(min(read, total), total)
        progress(total, total)
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error
    finally:
        consumer.close()
