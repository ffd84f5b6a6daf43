"""Creates and deletes topics."""

from __future__ import annotations

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from ingestion.offsets import REQUEST_S, end_offsets, open_admin
from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import TOPICS, Topic


def create_topics(
    settings: KafkaSettings, namespace: str = "", topics: Sequence[Topic] = TOPICS, *, wait_s: float = 30.0
) -> tuple[str, ...]:
    """Create what does not exist yet and wait until every partition has a leader; what exists stays as it is.

    Returns:
        The names on the broker that were created now.

    Raises:
        LogUnavailableError: the broker does not answer, refuses, or is not ready within ``wait_s``.
    """
    admin = open_admin(settings)
    requests = [
        NewTopic(
            topic.full_name(namespace),
            num_partitions=topic.partitions,
            replication_factor=-1,
            config=_config(topic),
        )
        for topic in topics
    ]
    created = []
    for name, future in admin.create_topics(
        requests, operation_timeout=REQUEST_S, request_timeout=REQUEST_S
    ).items():
        try:
            future.result(timeout=REQUEST_S * 2)
            created.append(name)
        except TimeoutError as error:
            raise LogUnavailableError(f"Kafka does not answer at {settings.bootstrap}.") from error
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise LogUnavailableError(
                    f"Kafka did not create the topic {name}: {error.args[0].str()}."
                ) from error
    names = {topic.full_name(namespace): topic.partitions for topic in topics}
    _await_leaders(admin, {name: names[name] if name in created else 1 for name in names}, wait_s)
    end_offsets(settings, namespace, topics)
    return tuple(created)


def delete_topics(settings: KafkaSettings, namespace: str, topics: Sequence[Topic]) -> None:
    """Delete those of these topics that exist.

    Raises:
        LogUnavailableError: the broker does not answer or refuses.
    """
    admin = open_admin(settings)
    try:
        known = admin.list_topics(timeout=REQUEST_S).topics
        names = [name for topic in topics if (name := topic.full_name(namespace)) in known]
        for future in admin.delete_topics(names).values() if names else ():
            future.result(timeout=REQUEST_S * 2)
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka did not delete topics: {error.args[0].str()}.") from error


def _config(topic: Topic) -> dict[str, str]:
    return {
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(topic.retention_ms),
        "cleanup.policy": "compact" if topic.compacted else "delete",
    }


def _await_leaders(admin: AdminClient, wanted: dict[str, int], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            found = admin.list_topics(timeout=REQUEST_S).topics
        except KafkaException as error:
            raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error
        late = [
            name
            for name, partitions in wanted.items()
            if name not in found
            or len(found[name].partitions) < partitions
            or any(partition.leader < 0 for partition in found[name].partitions.values())
        ]
        if not late:
            return
        if time.monotonic() >= deadline:
            raise LogUnavailableError(f"These topics were not ready after {wait_s:.0f} s: {', '.join(late)}.")
        time.sleep(0.1)
