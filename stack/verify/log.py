"""The events of the whole log, from the first record to where it ended when the reading began."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ingestion.events import AnyEvent, MalformedEventError, decode
from ingestion.log import Progress, read_records
from ingestion.settings import KafkaSettings
from ingestion.topics import Topic
from pipelines.stream.fan_out import unfit


def read_log(
    settings: KafkaSettings,
    namespace: str,
    topics: Sequence[Topic],
    progress: Progress,
    from_ms: int | None = None,
) -> Iterator[AnyEvent]:
    """Every event of these topics, or those appended since ``from_ms`` (UTC).

    Records that the stream jobs set aside as dead letters are passed over.

    Raises:
        LogUnavailableError: the broker does not answer, or falls silent before the end.
    """
    for record in read_records(settings, namespace, topics, from_ms=from_ms, progress=progress):
        if record.value() is not None:
            with contextlib.suppress(MalformedEventError):
                event = decode(record.value())
                if unfit(event) is None:
                    yield event
