"""Creates the topics and tells how far they reach."""

from __future__ import annotations

import time
from collections.abc import Sequence

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import TOPICS, Topic

REQUEST_S = 15.0
NOT_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
)


def create_topics(
    settings: KafkaSettings, namespace: str = "", topics: Sequence[Topic] = TOPICS, *, wait_s: float = 30.0
) -> tuple[str, ...]:
    """Create what does not exist yet and wait until every partition has a leader; what exists stays as it is.

    Returns:
        The names on the broker that were created now.

    Raises:
        LogUnavailableError: the broker does not answer, refuses, or is not ready within ``wait_s``.
    """
    admin = _admin(settings)
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


def end_offsets(
    settings: KafkaSettings, namespace: str = "", topics: Sequence[Topic] = TOPICS
) -> dict[tuple[str, int], int]:
    """The next offset of each (topic name on the broker, partition).

    Raises:
        LogUnavailableError: the broker does not answer or a topic does not exist.
    """
    return _reach(settings, namespace, topics, OffsetSpec.latest())


def start_offsets(
    settings: KafkaSettings, namespace: str = "", topics: Sequence[Topic] = TOPICS
) -> dict[tuple[str, int], int]:
    """The offset of the first record that is left of each (topic name on the broker, partition).

    Raises:
        LogUnavailableError: the broker does not answer or a topic does not exist.
    """
    return _reach(settings, namespace, topics, OffsetSpec.earliest())


def delete_topics(settings: KafkaSettings, namespace: str, topics: Sequence[Topic]) -> None:
    """Delete those of these topics that exist.

    Raises:
        LogUnavailableError: the broker does not answer or refuses.
    """
    admin = _admin(settings)
    try:
        known = admin.list_topics(timeout=REQUEST_S).topics
        names = [name for topic in topics if (name := topic.full_name(namespace)) in known]
        for future in admin.delete_topics(names).values() if names else ():
            future.result(timeout=REQUEST_S * 2)
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka did not delete topics: {error.args[0].str()}.") from error


def _reach(
    settings: KafkaSettings, namespace: str, topics: Sequence[Topic], spec: OffsetSpec
) -> dict[tuple[str, int], int]:
    admin = _admin(settings)
    try:
        return _offsets(admin, _partitions(admin, [topic.full_name(namespace) for topic in topics]), spec)
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error


def place_group(settings: KafkaSettings, group: str, topics: Sequence[str], from_ms: int | None) -> None:
    """Make a consumer group without members start at the first records of a moment (ms UTC), else at the
    beginning of each of these topics (names on the broker).

    Raises:
        LogUnavailableError: the broker does not answer, or the group has members.
    """
    admin = _admin(settings)
    spec = OffsetSpec.earliest() if from_ms is None else OffsetSpec.for_timestamp(from_ms)
    try:
        parts = _partitions(admin, topics)
        answers = admin.list_offsets(dict.fromkeys(parts, spec), request_timeout=REQUEST_S)
        ends = _offsets(admin, parts, OffsetSpec.latest())
        found = {(part.topic, part.partition): answer.result().offset for part, answer in answers.items()}
        # A partition without a record of that moment or later is read from its end.
        places = [
            TopicPartition(*place, offset if offset >= 0 else ends[place]) for place, offset in found.items()
        ]
        request = [ConsumerGroupTopicPartitions(group, places)]
        admin.alter_consumer_group_offsets(request)[group].result(REQUEST_S)
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka did not place the group {group}: {error.args[0].str()}.") from error


def _partitions(admin: AdminClient, names: Sequence[str]) -> list[TopicPartition]:
    """Every partition of these topics."""
    found = admin.list_topics(timeout=REQUEST_S).topics
    for name in names:
        if name not in found:
            raise LogUnavailableError(f"The topic {name} does not exist.")
    return [TopicPartition(name, partition) for name in names for partition in found[name].partitions]


def _offsets(
    admin: AdminClient, partitions: Sequence[TopicPartition], spec: OffsetSpec
) -> dict[tuple[str, int], int]:
    """An offset of each partition, asked of the partitions' leaders.

    A broker names the leaders of a new topic before they lead; what they answer until then is asked again.
    """
    deadline = time.monotonic() + REQUEST_S
    while True:
        answers = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=REQUEST_S)
        try:
            return {
                (asked.topic, asked.partition): answer.result().offset for asked, answer in answers.items()
            }
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


def _admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 2})


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
