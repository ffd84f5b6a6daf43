"""A broker that has just started: what it cannot say yet is asked again, and not for ever."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ingestion import offsets
from ingestion.publisher import LogUnavailableError
from ingestion.settings import KafkaSettings

COMMITTED = {("tweets", 0): 7}


class Broker:
    """An admin client whose broker answers with these errors first."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.asked = 0

    def _answer(self, result: Any) -> Future[Any]:
        self.asked += 1
        future: Future[Any] = Future()
        if self.errors:
            future.set_exception(KafkaException(KafkaError(self.errors.pop(0))))
        else:
            future.set_result(result)
        return future

    def list_consumer_group_offsets(self, request: Any, request_timeout: float) -> dict[str, Future[Any]]:
        parts = [TopicPartition(*place, offset) for place, offset in COMMITTED.items()]
        parts.append(TopicPartition("tweets", 1, -1001))
        return {request[0].group_id: self._answer(SimpleNamespace(topic_partitions=parts))}


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(broker: Broker) -> dict[str, dict[offsets.Place, int]]:
        monkeypatch.setattr(offsets, "open_admin", lambda settings: broker)
        return offsets.committed_offsets(KafkaSettings(), ["readers"])

    return read


@pytest.mark.parametrize(
    "error",
    [
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    ],
)
def test_commits_that_a_coordinator_has_not_read_yet_are_asked_for_again(committed: Any, error: int) -> None:
    broker = Broker(error, error)
    assert committed(broker) == {"readers": COMMITTED}
    assert broker.asked == 3


def test_a_coordinator_that_is_never_ready_is_one_sentence(
    committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "REQUEST_S", 0.3)
    broker = Broker(*[KafkaError.COORDINATOR_LOAD_IN_PROGRESS] * 1000)
    with pytest.raises(LogUnavailableError, match="Kafka does not answer"):
        committed(broker)
    assert broker.errors


def test_a_refusal_is_not_asked_again(committed: Any) -> None:
    broker = Broker(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(LogUnavailableError):
        committed(broker)
    assert broker.asked == 1
