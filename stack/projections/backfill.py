"""Puts what the log has deleted onto topics of a projection, from the lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingestion.admin import create_topics
from ingestion.lake import TOPIC_EVENTS
from ingestion.lake_events import read_events
from ingestion.publisher import KafkaPublisher
from ingestion.replay import Failures
from ingestion.retention import deleted_until
from ingestion.settings import TidelineSettings
from ingestion.topics import Topic
from pipelines.jobs import FILLED_FROM_LAKE, JOB_TOPICS

AHEAD_MS = 3_600_000
"""How far an event's time may be ahead of its record's; events that the log has as well change nothing."""
TOLD_EVERY = 1000

Progress = Callable[[str, int], None]
"""Told (event type, events so far)."""


def topics_of(jobs: Sequence[str]) -> list[Topic]:
    """The topics that a projection of these jobs has beside those of the log."""
    read = {topic for job in jobs if job in FILLED_FROM_LAKE for topic in JOB_TOPICS[job]}
    return sorted((topic for topic in read if not topic.compacted), key=lambda topic: topic.name)


def backfill(
    settings: TidelineSettings, projection: str, jobs: Sequence[str], from_ms: int | None, progress: Progress
) -> dict[str, int]:
    """Make the projection's topics, and fill them with events since ``from_ms`` (UTC) that the log lacks.

    Returns:
        How many of each topic from which the log has deleted something since then.

    Raises:
        LogUnavailableError: the log did not take an event.
    """
    topics = topics_of(jobs)
    create_topics(settings.kafka, projection, topics)
    publisher = KafkaPublisher(settings.kafka, projection, patience_s=60.0, delivery_s=60.0, linger_ms=20)
    failures = Failures()
    written: dict[str, int] = {}
    try:
        for topic in topics:
            until = deleted_until(settings.kafka, settings.namespace, topic)
            if until is None or (from_ms is not None and until < from_ms):
                continue
            written[topic.name] = 0
            for event_type in TOPIC_EVENTS[topic]:
                for event in read_events(
                    settings.lake.path, settings.namespace, event_type, from_ms, until + AHEAD_MS
                ):
                    publisher.hand_over(event, failures.watch)
                    written[topic.name] += 1
                    if written[topic.name] % TOLD_EVERY == 0:
                        failures.check()
                        progress(topic.name, written[topic.name])
        publisher.flush()
        failures.check()
    finally:
        publisher.close()
    return written
