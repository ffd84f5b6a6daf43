"""Deliveries of stream jobs to one server, in two steps: what is left when the second does not come."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import redis
from store_under_test import StoreUnderTest, real_store

from timelines.cells import pack_cells
from timelines.delivery import deliver
from timelines.entry import Entries, entries
from timelines.settings import TimelineSettings

pytestmark = pytest.mark.valkey
READER, OTHER, AUTHOR = 7, 123, 42


@pytest.fixture
def store(valkey: str) -> Iterator[StoreUnderTest]:
    made = real_store(valkey, TimelineSettings(length=5, slack=4), cluster=False)
    yield made
    made.client.close()


def tweets(*ids: int) -> Entries:
    return entries([(number, AUTHOR, number, AUTHOR, 0) for number in ids])


def shown(store: StoreUnderTest) -> list[int]:
    store.follow(READER, AUTHOR)
    appearances: list[int] = store.read(READER).entries["appearance"].tolist()
    return appearances


def test_who_has_no_timeline_gets_none(store: StoreUnderTest) -> None:
    store.activate(READER)
    assert store.deliver([READER, OTHER], tweets(1, 2)) == 1
    assert not store.client.exists(store.keys.home(OTHER), store.keys.home_tail(OTHER))
    assert shown(store) == [2, 1]


def test_bytes_left_by_an_interrupted_delivery_are_no_timeline_and_go_with_the_next(
    store: StoreUnderTest,
) -> None:
    store.client.append(store.keys.home_tail(OTHER), pack_cells(tweets(1))[0])
    readers = np.array([OTHER])
    assert deliver(store.client, store.keys, store.settings, readers, tweets(1), again=True) == 0
    assert not store.client.exists(store.keys.home_tail(OTHER))


def test_bytes_left_where_a_timeline_comes_to_be_are_not_taken_for_its_entries(store: StoreUnderTest) -> None:
    store.client.append(store.keys.home_tail(READER), pack_cells(tweets(8))[0])
    store.publish(tweets(3))
    assert shown(store) == [3]
    store.deliver([READER], tweets(4))
    assert shown(store) == [4, 3]


def test_an_interrupted_delivery_is_repeated_without_a_trace(store: StoreUnderTest) -> None:
    store.activate(READER)
    store.client.append(store.keys.home_tail(READER), pack_cells(tweets(1, 2))[0])
    readers = np.full(2, READER)
    deliver(store.client, store.keys, store.settings, readers, tweets(1, 2), again=True)
    assert shown(store) == [2, 1]


def test_after_a_refused_delivery_the_next_gets_its_own_answers(store: StoreUnderTest) -> None:
    store.activate(READER)
    store.client.rpush(store.keys.home_tail(OTHER), "no string")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        store.deliver([READER, OTHER], tweets(1))
    assert store.deliver([READER], tweets(2)) == 1
    assert shown(store) == [2, 1]
