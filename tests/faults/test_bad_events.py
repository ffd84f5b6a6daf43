"""Events that are no events, come twice, out of order or an hour late."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer

from ingestion.dead_letters import DeadLetter, Letter, read_letters
from ingestion.events import FollowChanged, TweetCreated, encode
from ingestion.redrive import Redriver
from ingestion.snowflake import snowflake
from ingestion.topics import DEAD_LETTERS, FOLLOWS, TWEETS

pytestmark = [pytest.mark.faults, pytest.mark.quick, pytest.mark.stack, pytest.mark.timeout(900)]
HOUR_MS = 3_600_000
POISON = (
    b"",
    b'{"rubbish',
    b"\xff\xfe\x00",
    b'{"type":"tweet_created","event_id":"x","ts":1,"v":2,"tweet_id":1,"author_id":1,"text":null}',
    b'{"type":"nothing_we_know","event_id":"x","ts":1}',
    encode(TweetCreated(event_id="x", ts=1, tweet_id=5, author_id=1 << 60, text=None)),
    encode(TweetCreated(event_id="x", ts=1, tweet_id=(1 << 63) - 1, author_id=1, text=None)),
    encode(TweetCreated(event_id="x", ts=-1, tweet_id=5, author_id=1, text=None)),
    encode(TweetCreated(event_id="x" * 300, ts=1, tweet_id=5, author_id=1, text=None)),
)


def letters(town: Any) -> list[Letter]:
    return read_letters(town.kafka, town.namespace)


def test_events_that_come_twice_out_of_order_and_late_change_nothing(town: Any) -> None:
    chance = random.Random(5)
    events = town.traffic.round(late_ms=HOUR_MS)
    repeated = [event for event in events for _ in range(chance.choice((1, 1, 2, 3)))]
    chance.shuffle(repeated)
    town.publish(repeated)
    town.episode("events twice, out of order, an hour late", late_ms=HOUR_MS)


def test_writers_whose_clock_is_stepped_ahead_and_back_change_nothing(town: Any) -> None:
    town.episode("writers' clock an hour ahead", late_ms=-HOUR_MS)
    town.episode("writers' clock back again")


def test_poison_is_set_aside_put_back_and_counted_and_the_rest_goes_on(
    town: Any, eventually: Callable[..., Any]
) -> None:
    producer = Producer({"bootstrap.servers": town.kafka.bootstrap})
    before = town.restarts()

    def poison() -> None:
        for number, value in enumerate(POISON):
            topic = (TWEETS, FOLLOWS)[number % 2].full_name(town.namespace)
            producer.produce(topic, value, b"%d" % number, partition=number % 4)
        producer.flush()

    town.episode("poison events", poison)
    found = eventually(lambda: len(letters(town)) == len(POISON) and letters(town), "a letter for each")
    assert {letter.letter.value for letter in found} == set(POISON)
    assert all(letter.attempts == 1 for letter in found)

    outcomes = Redriver(town.kafka, town.namespace).redrive(found)
    assert [outcome.refused for outcome in outcomes] == [None] * len(POISON)
    eventually(lambda: len(letters(town)) == 2 * len(POISON), "those put back fail again")
    again = [letter for letter in letters(town) if letter.is_open]
    assert [letter.attempts for letter in again] == [2] * len(POISON)
    assert {letter.first for letter in again} == {letter.letter_id for letter in found}
    assert town.restarts() == before


def test_a_letter_that_this_build_understands_reaches_the_feeds_when_put_back(town: Any) -> None:
    late = town.traffic.round(1)[0].ts
    author, reader, tweet = 1, 2, snowflake(late, machine=7)
    follow = FollowChanged(
        event_id=f"f{tweet}", ts=late + 60_000, follower_id=reader, followee_id=author, active=True
    )
    town.publish([follow])
    event = TweetCreated(event_id=f"t{tweet}", ts=late, tweet_id=tweet, author_id=author, text="once refused")
    topic = TWEETS.full_name(town.namespace)
    letter = DeadLetter("refused by an older build", topic, 0, 1 << 40, encode(event))
    producer = Producer({"bootstrap.servers": town.kafka.bootstrap})
    producer.produce(DEAD_LETTERS.full_name(town.namespace), letter.encode().encode())
    producer.flush()
    (mine,) = [found for found in letters(town) if found.letter_id == letter.letter_id]
    (outcome,) = Redriver(town.kafka, town.namespace).redrive([mine])
    assert outcome.refused is None
    town.episode("a letter of an older build put back")
    assert town.store.exists(town.keys.tweet(tweet))
