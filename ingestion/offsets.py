"""Offsets: how far topics reach, and what consumer groups have read of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import TOPICS, Topic

REQUEST_S = 15.0
Place = tuple[str, int]
"""Topic name on the broker, partition."""
Answer = TypeVar("Answer")
NOT_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
"""What a broker answers that has just started, or of a topic that is new."""


def end_offsets(
    settings: KafkaSettings, namespace: str = "", topics: Sequence[Topic] = TOPICS
) -> dict[Place, int]:
    """The next offset of each partition.

    Raises:
        LogUnavailableError: the broker does not answer or a topic does not exist.
    """
    return offsets(settings, _full_names(namespace, topics), OffsetSpec.latest())


def start_offsets(
    settings: KafkaSettings, namespace: str = "", topics: Sequence[Topic] = TOPICS
) -> dict[Place, int]:
    """The offset of the first record that is left of each partition.

    Raises:
        LogUnavailableError: the broker does not answer or a topic does not exist.
    """
    return offsets(settings, _full_names(namespace, topics), OffsetSpec.earliest())


def offsets(settings: KafkaSettings, names: Sequence[str], spec: OffsetSpec) -> dict[Place, int]:
    """An offset of each partition of these topics (names on the broker).

    Raises:
        LogUnavailableError: the broker does not answer or a topic does not exist.
    """
    admin = open_admin(settings)
    try:
        return _offsets(admin, _partitions(admin, names), spec)
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error


def committed_offsets(settings: KafkaSettings, groups: Sequence[str]) -> dict[str, dict[Place, int]]:
    """The offsets that each consumer group has committed; partitions without a commit are not named.

    Raises:
        LogUnavailableError: the broker does not answer.
    """
    admin = open_admin(settings)
    try:
        return {group: _committed(admin, group) for group in groups}
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka does not answer: {error.args[0].str()}.") from error


def place_group(settings: KafkaSettings, group: str, topics: Sequence[str], from_ms: int | None) -> None:
    """Make a consumer group without members start at the first records of a moment (ms UTC), else at the
    beginning of each of these topics (names on the broker).

    Raises:
        LogUnavailableError: the broker does not answer, or the group has members.
    """
    admin = open_admin(settings)
    spec = OffsetSpec.earliest() if from_ms is None else OffsetSpec.for_timestamp(from_ms)
    try:
        parts = _partitions(admin, topics)
        found = _offsets(admin, parts, spec)
        ends = _offsets(admin, parts, OffsetSpec.latest())
        # A partition without a record of that moment or later is read from its end.
        places = [
            TopicPartition(*place, offset if offset >= 0 else ends[place]) for place, offset in found.items()
        ]
        request = [ConsumerGroupTopicPartitions(group, places)]
        ask = partial(admin.alter_consumer_group_offsets, request, request_timeout=REQUEST_S)
        _when_ready(lambda: ask()[group].result())
    except KafkaException as error:
        raise LogUnavailableError(f"Kafka did not place the group {group}: {error.args[0].str()}.") from error


def open_admin(settings: KafkaSettings) -> AdminClient:
    """A client that is quiet about brokers that are away."""
    return AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 2})


def _partitions(admin: AdminClient, names: Sequence[str]) -> list[TopicPartition]:
    """Every partition of these topics."""
    found = admin.list_topics(timeout=REQUEST_S).topics
    for name in names:
        if name not in found:
            raise LogUnavailableError(f"The topic {name} does not exist.")
    return [TopicPartition(name, partition) for name in names for partition in found[name].partitions]


def _full_names(namespace: str, topics: Sequence[Topic]) -> list[str]:
    return [topic.full_name(namespace) for topic in topics]


def _offsets(admin: AdminClient, partitions: Sequence[TopicPartition], spec: OffsetSpec) -> dict[Place, int]:
    """An offset of each partition, asked of the partitions' leaders."""

    def ask() -> dict[Place, int]:
        answers = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=REQUEST_S)
        return {(asked.topic, asked.partition): answer.result().offset for asked, answer in answers.items()}

    return _when_ready(ask)


def _committed(admin: AdminClient, group: str) -> dict[Place, int]:
    request = [ConsumerGroupTopicPartitions(group)]

    def ask() -> dict[Place, int]:
        answers = admin.list_consumer_group_offsets(request, request_timeout=REQUEST_S)
        parts = answers[group].result().topic_partitions
        return {(part.topic, part.partition): part.offset for part in parts if part.offset >= 0}

    return _when_ready(ask)


def _when_ready(ask: Callable[[], Answer]) -> Answer:
    """What the broker answers; one that is not ready for the question is asked again, for ``REQUEST_S``.

    A broker names the leaders of a new topic before they lead, and the coordinator of a group before it has
    read what the group committed.
    """
    deadline = time.monotonic() + REQUEST_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() >= deadline:
                raise
        time.sleep(0.1)
