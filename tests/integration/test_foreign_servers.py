"""A stack without a Kafka or a Valkey of its own: those at the settings' addresses get what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from ingestion.settings import KafkaSettings
from ingestion.topics import TOPICS, TWEETS
from stack import lifecycle
from stack.bring_up import bring_up
from stack.errors import UserError
from stack.settings import Ports, StackSection, StackSettings

pytestmark = pytest.mark.stack
NAMESPACE = "foreign"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    yield tmp_path
    lifecycle.stop(lifecycle.layout_of(StackSettings()), 10)


def up(only: str) -> None:
    """Start one server of our own, or go on with it."""
    ports = StackSection(ports=Ports(**dict.fromkeys(Ports.model_fields, 0)))
    bring_up(StackSettings(stack=ports), NAMESPACE, (only,), (), False, lambda line: None)


def test_somebody_elses_kafka_gets_the_topics_that_it_lacks(
    home: Path, kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    theirs = TWEETS.full_name(NAMESPACE)
    admin.create_topics([NewTopic(theirs, 2, 1, config={"retention.ms": "3600000"})])[theirs].result(30)
    monkeypatch.setenv("TIDELINE_KAFKA__BOOTSTRAP", kafka.bootstrap)
    for _ in range(2):
        up("valkey")
    found = admin.list_topics(timeout=10).topics
    names = {topic.full_name(NAMESPACE): topic.partitions for topic in TOPICS}
    assert {name: len(found[name].partitions) for name in names} == {**names, theirs: 2}
    resource = ConfigResource(ResourceType.TOPIC, theirs)
    assert admin.describe_configs([resource])[resource].result(10)["retention.ms"].value == "3600000"


def test_somebody_elses_valkey_gets_the_functions_beside_its_own(
    home: Path, empty_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDELINE_REDIS__URL", empty_valkey)
    with redis.Redis.from_url(empty_valkey, decode_responses=True) as client:
        own = "#!lua name=theirs\nserver.register_function('theirs_answer', function() return 42 end)"
        client.function_load(own)
        for _ in range(2):
            up("postgres")
        libraries = {library[1] for library in client.function_list()}
        assert libraries == {"theirs", "tideline", "tideline_features"}
        assert client.fcall("theirs_answer", 0) == 42


def test_a_valkey_that_is_not_there_is_one_sentence_and_nothing_stays_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDELINE_REDIS__URL", "redis://name:secret@127.0.0.1:1/0")
    with pytest.raises(UserError, match=r"^Valkey at 127\.0\.0\.1:1 does not take the store's functions"):
        up("postgres")
    assert lifecycle.running(lifecycle.layout_of(StackSettings())) is None


def test_servers_that_nobody_named_are_not_looked_for(home: Path) -> None:
    up("postgres")
    assert lifecycle.running(lifecycle.layout_of(StackSettings())) is not None
