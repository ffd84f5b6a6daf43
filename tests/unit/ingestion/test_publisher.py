"""Delivery reports of a producer whose broker is not there: each event is told of, whatever another's did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingestion.events import TweetDeleted
from ingestion.publisher import KafkaPublisher, LogUnavailableError
from ingestion.settings import KafkaSettings

EVENT = TweetDeleted(event_id="t", ts=1, tweet_id=1, author_id=1)
GENEROUS_S = 30


@pytest.fixture
def publisher() -> Iterator[KafkaPublisher]:
    without_broker = KafkaPublisher(KafkaSettings(bootstrap="127.0.0.1:1"), delivery_s=0.05)
    yield without_broker
    without_broker.close()


def test_events_are_told_of_after_a_report_that_raised(publisher: KafkaPublisher) -> None:
    def broken(error: LogUnavailableError | None) -> None:
        raise ValueError("nobody listens")

    publisher.hand_over(EVENT, broken)
    for _ in range(2):
        with pytest.raises(LogUnavailableError):
            publisher.publish(EVENT).result(GENEROUS_S)


def test_an_event_that_was_handed_over_cannot_be_called_back(publisher: KafkaPublisher) -> None:
    future = publisher.publish(EVENT)
    assert not future.cancel()
    with pytest.raises(LogUnavailableError):
        future.result(GENEROUS_S)
