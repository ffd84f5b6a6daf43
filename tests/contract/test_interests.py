"""What a reader is interested in, over the in-memory store, a Valkey and a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from timelines import commands, interests
from timelines.interests import ACTS, LIFETIME_S, SIMILAR, TOPICS, Act, Interests

NOW_MS = 1_700_000_000_000
LIFETIME_MS = round(LIFETIME_S * 1000)
READER, OTHER = 5, 6


def put(store: Any, as_of: int, similar: list[int], topics: dict[int, float], *readers: int) -> None:
    value = interests.encode(as_of, similar, list(topics), list(topics.values()))
    store.write(interests.put, np.array(readers), [value] * len(readers))


def read(store: Any, reader: int = READER) -> Interests:
    async def ask(client: Any) -> Any:
        pipe = client.pipeline(transaction=False)
        interests.queue(pipe, store.keys, reader)
        return interests.decode(await pipe.execute())

    found: Interests = store.run(ask)
    return found


def test_nothing_is_known_of_a_reader_at_first(store: Any) -> None:
    assert read(store) == Interests()


def test_what_was_found_of_many_readers_is_read_for_each(store: Any) -> None:
    put(store, NOW_MS, [3, 1, 2], {7: 2.0, 4_294_967_295: 0.5}, *range(1, 10))
    for reader in range(1, 10):
        assert read(store, reader) == Interests((3, 1, 2), {7: 2.0, 4_294_967_295: 0.5}, NOW_MS)


def test_it_is_bounded_and_expires(store: Any) -> None:
    put(store, NOW_MS, list(range(100)), dict.fromkeys(range(100), 1.0), READER)
    found = read(store)
    assert (len(found.similar), len(found.topics)) == (SIMILAR, TOPICS)
    assert len(store.client.get(store.keys.interests(READER))) <= 256
    if hasattr(store.client, "pttl"):
        assert 0 < store.client.pttl(store.keys.interests(READER)) <= interests.KEPT_MS


def test_an_earlier_build_does_not_replace_a_later_one(store: Any) -> None:
    put(store, NOW_MS, [1], {}, READER)
    put(store, NOW_MS - 1, [2], {}, READER)
    assert read(store).similar == (1,)
    put(store, NOW_MS + 1, [3], {}, READER)
    assert read(store).similar == (3,)


def test_a_form_of_a_later_version_counts_as_nothing(store: Any) -> None:
    value = bytearray(interests.encode(NOW_MS, [1], [2], [3.0]))
    value[8] += 1
    store.write(interests.put, np.array([READER]), [bytes(value)])
    assert read(store) == Interests()


def test_what_the_reader_did_stands_beside_it_without_what_was_taken_back(store: Any) -> None:
    put(store, NOW_MS, [], {7: 1.0}, READER)
    store.write(commands.set_like, READER, 11, NOW_MS - 1, True)
    store.write(commands.set_like, READER, 12, NOW_MS, True)
    store.write(commands.set_like, READER, 13, NOW_MS, True)
    store.write(commands.set_like, READER, 13, NOW_MS + 1, False)
    store.write(commands.set_retweet, READER, 14, NOW_MS + 2, True)
    store.write(commands.set_opened, READER, {15: NOW_MS + 3})
    store.write(commands.set_opened, OTHER, {16: NOW_MS + 3})
    found = read(store)
    assert set(found.acts) == {
        Act(11, NOW_MS - 1),
        Act(12, NOW_MS),
        Act(14, NOW_MS + 2),
        Act(15, NOW_MS + 3),
    }
    assert {act.tweet for act in found.since} == {12, 14, 15}


def test_of_the_opened_tweets_the_newest_stay_whatever_the_order_and_however_often(store: Any) -> None:
    moments = {100 + number: NOW_MS + number for number in range(commands.OPENED_KEPT + 10)}
    for _ in range(2):
        for tweet, at in reversed(moments.items()):
            store.write(commands.set_opened, READER, {tweet: at})
    kept = store.client.zrange(store.keys.opened(READER), 0, -1)
    assert [int(tweet) for tweet in kept] == sorted(moments)[10:]
    assert {act.tweet for act in read(store).acts} == set(sorted(moments)[-ACTS:])


@pytest.mark.parametrize("later", [0, 3 * LIFETIME_MS])
def test_an_act_weighs_what_is_left_of_it_whenever_it_is_asked(later: int) -> None:
    found = Interests(
        (), {1: 2.0, 2: 1.0}, NOW_MS, (Act(10, NOW_MS + LIFETIME_MS), Act(11, NOW_MS + LIFETIME_MS + later))
    )
    assert found.favourites({10: (3, -1), 11: (3,)}) == [3, 1, 2]
    assert found.favourites({10: (2, -1)})[0] == 2
    assert found.favourites({}) == [1, 2]


def test_what_the_build_has_seen_does_not_count_again() -> None:
    found = Interests((), {1: 1.0}, NOW_MS, (Act(10, NOW_MS - 1), Act(11, NOW_MS - 2)))
    assert found.favourites({10: (2,), 11: (2,)}) == [1]
