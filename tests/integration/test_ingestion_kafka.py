"""Topics, publisher and replay on a real broker."""

from __future__ import annotations

import socket
import time

import pytest
from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    ConsumerGroupTopicPartitions,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from ingestion.admin import create_topics
from ingestion.events import ClockAdvanced, FollowChanged, LikeChanged, decode
from ingestion.log import read_records
from ingestion.offsets import end_offsets, place_group
from ingestion.publisher import KafkaPublisher, LogUnavailableError
from ingestion.settings import KafkaSettings
from ingestion.topics import ENGAGEMENTS, EVENT_TOPICS, FOLLOWS, TOPICS, TWEETS, Topic
from stack.lag import lag_of

pytestmark = pytest.mark.stack


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read(kafka: KafkaSettings, topic: Topic, namespace: str) -> list[list[tuple[bytes, bytes, int]]]:
    """(key, value, kind of timestamp) of every record, by partition."""
    ends = end_offsets(kafka, namespace, [topic])
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "test", "enable.auto.commit": False}
    )
    found = []
    for (name, partition), end in sorted(ends.items()):
        consumer.assign([TopicPartition(name, partition, 0)])
        records: list[tuple[bytes, bytes, int]] = []
        while len(records) < end:
            record = consumer.poll(10)
            assert record is not None
            assert record.error() is None
            records.append((record.key(), record.value(), record.timestamp()[0]))
        found.append(records)
    consumer.close()
    return found


def like(number: int, tweet: int = 5) -> LikeChanged:
    return LikeChanged(
        event_id=f"l{number}", ts=1_000, user_id=number, tweet_id=tweet, author_id=1, active=True
    )


def test_topics_are_made_once_with_their_partitions_and_settings(kafka: KafkaSettings) -> None:
    names = {topic.full_name("made") for topic in TOPICS}
    assert set(create_topics(kafka, "made")) == names
    assert create_topics(kafka, "made") == ()
    assert len(end_offsets(kafka, "made")) == sum(topic.partitions for topic in TOPICS)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    resources = {topic: ConfigResource(ResourceType.TOPIC, topic.full_name("made")) for topic in TOPICS}
    answers = admin.describe_configs(list(resources.values()))
    for topic, resource in resources.items():
        config = answers[resource].result(timeout=10)
        assert config["message.timestamp.type"].value == "LogAppendTime"
        assert config["retention.ms"].value == str(topic.retention_ms)
        assert config["cleanup.policy"].value == ("compact" if topic.compacted else "delete")


def test_an_event_of_long_ago_is_acknowledged_and_read_back_in_order(kafka: KafkaSettings) -> None:
    create_topics(kafka, "order")
    publisher = KafkaPublisher(kafka, "order")
    futures = [publisher.publish(like(number)) for number in range(50)]
    for future in futures:
        future.result(timeout=10)
    publisher.close()
    (records,) = [records for records in read(kafka, ENGAGEMENTS, "order") if records]
    assert [decode(value) for _, value, _ in records] == [like(number) for number in range(50)]
    assert {key for key, _, _ in records} == {b"5"}
    assert {kind for _, _, kind in records} == {TIMESTAMP_LOG_APPEND_TIME}


def test_the_clock_reaches_every_partition_after_what_came_before(kafka: KafkaSettings) -> None:
    create_topics(kafka, "clock")
    publisher = KafkaPublisher(kafka, "clock")
    for number in range(40):
        publisher.publish(
            FollowChanged(event_id=f"f{number}", ts=1, follower_id=number, followee_id=9, active=True)
        )
    written = publisher.advance_clock(77)
    publisher.close()
    assert written == sum(topic.partitions for topic in EVENT_TOPICS)
    for topic in EVENT_TOPICS:
        for records in read(kafka, topic, "clock"):
            events = [decode(value) for _, value, _ in records]
            assert [event.ts for event in events if isinstance(event, ClockAdvanced)] == [77]
            assert isinstance(events[-1], ClockAdvanced)
    assert sum(map(len, read(kafka, FOLLOWS, "clock"))) == 40 + FOLLOWS.partitions


def test_a_topic_that_does_not_exist_fails_the_event_and_not_the_process(kafka: KafkaSettings) -> None:
    publisher = KafkaPublisher(kafka, "absent", delivery_s=3)
    with pytest.raises(LogUnavailableError, match="did not take the event"):
        publisher.publish(like(1)).result(timeout=30)
    with pytest.raises(LogUnavailableError, match="does not exist"):
        publisher.advance_clock(1)
    publisher.close()


def test_a_broker_that_is_not_there_is_said_in_a_sentence() -> None:
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    publisher = KafkaPublisher(nowhere, delivery_s=1)
    with pytest.raises(LogUnavailableError):
        publisher.publish(like(1)).result(timeout=30)
    publisher.close()


def test_a_group_is_placed_at_the_beginning_of_the_log_or_at_a_moment(kafka: KafkaSettings) -> None:
    create_topics(kafka, "placed")
    name = ENGAGEMENTS.full_name("placed")
    publisher = KafkaPublisher(kafka, "placed")

    def publish(number: int) -> Message:
        publisher.publish(like(number)).result(timeout=10)
        return list(read_records(kafka, "placed", [ENGAGEMENTS]))[-1]

    def places() -> dict[int, int]:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        request = [ConsumerGroupTopicPartitions("group")]
        answer = admin.list_consumer_group_offsets(request)["group"].result(10)
        return {part.partition: part.offset for part in answer.topic_partitions}

    first = publish(1)
    moment = first.timestamp()[1] + 1
    while (after := publish(2)).timestamp()[1] < moment:
        pass
    publisher.close()

    place_group(kafka, "group", [name], None)
    assert places() == dict.fromkeys(range(ENGAGEMENTS.partitions), 0)
    place_group(kafka, "group", [name], moment)
    assert places()[after.partition()] == after.offset()
    assert [record.offset() for record in read_records(kafka, "placed", [ENGAGEMENTS], from_ms=moment)] == [
        after.offset()
    ]


def test_a_group_lags_by_what_it_has_not_committed_of_the_topics_it_reads(kafka: KafkaSettings) -> None:
    create_topics(kafka, "lagging")
    likes, tweets = (topic.full_name("lagging") for topic in (ENGAGEMENTS, TWEETS))
    publisher = KafkaPublisher(kafka, "lagging")

    def publish(number: int) -> None:
        publisher.publish(like(number)).result(timeout=10)

    for number in range(5):
        publish(number)
    place_group(kafka, "begun", [likes], int(time.time() * 1000) + 60_000)
    for number in range(5, 8):
        publish(number)
    publisher.close()
    lag = lag_of(kafka, {"begun": [likes], "new": [likes, tweets], "elsewhere": [tweets]})
    assert lag.by_group == {"begun": 3, "new": 8, "elsewhere": 0}
    assert lag.total == 11
    with pytest.raises(LogUnavailableError, match="does not exist"):
        lag_of(kafka, {"begun": ["never"]})
