"""Fan-out equals the definition of a feed, whatever the order, batching and repetition of its events."""

from __future__ import annotations

import pytest
from fan_out_model import (
    LENGTH,
    USERS,
    Store,
    definition,
    follow,
    histories,
    new_tables,
    pull_at,
    retweet,
    tweet,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.events import AnyEvent
from pipelines.stream.authors import EDGES_PER_BLOCK, Authors
from pipelines.stream.deliveries import join
from pipelines.stream.fan_out import fan_out, unfit
from timelines.entry import RETWEET, WITHDRAWN


@settings(deadline=None)
@given(st.data(), histories(), st.integers(1, 4))
def test_any_order_batching_and_repetition_gives_the_feed_of_the_definition(
    data: st.DataObject, events: list[AnyEvent], push_below: int
) -> None:
    arrivals = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events or [tweet(1, 1)]))))
    )
    tables, store, everything = new_tables(), Store(), list(arrivals)
    authors = Authors(tables)
    while arrivals:
        size = data.draw(st.integers(1, 12))
        batch, arrivals = arrivals[:size], arrivals[size:]
        if data.draw(st.booleans()):
            authors = Authors(tables, capacity=data.draw(st.sampled_from([1, 1_000_000])))
        store.write(fan_out(batch, authors, pull_at(push_below), LENGTH))
    for reader in USERS:
        assert store.feed(reader) == definition(everything, reader)


def test_a_new_entry_goes_to_the_followers_and_to_its_author() -> None:
    authors = Authors(new_tables())
    fan_out([follow(2, 1, 10), follow(3, 1, 11)], authors, pull_at(100), LENGTH)
    result = fan_out([tweet(50, 1)], authors, pull_at(100), LENGTH)
    assert sorted(result.deliveries.readers.tolist()) == [1, 2, 3]
    assert result.entries["author"].tolist() == [1]


def test_a_new_follower_gets_the_newest_entries_and_nobody_else_gets_them_again() -> None:
    authors = Authors(new_tables())
    fan_out(
        [follow(2, 1, 10), *(tweet(number, 1) for number in range(50, 60))], authors, pull_at(100), LENGTH
    )
    result = fan_out([follow(3, 1, 12)], authors, pull_at(100), LENGTH)
    pairs = result.deliveries
    assert set(pairs.readers.tolist()) == {3}
    assert sorted(pairs.entries[pairs.which]["appearance"].tolist()) == [57, 58, 59]


def test_a_follow_made_again_delivers_nothing_again() -> None:
    authors = Authors(new_tables())
    fan_out([follow(2, 1, 10), tweet(50, 1)], authors, pull_at(100), LENGTH)
    result = fan_out([follow(2, 1, 12, active=False), follow(2, 1, 13)], authors, pull_at(100), LENGTH)
    assert len(result.deliveries) == 0


def test_an_author_at_the_threshold_becomes_pulled_and_is_delivered_to_nobody_else() -> None:
    authors = Authors(new_tables())
    crossing = fan_out([follow(2, 1, 10), follow(3, 1, 11), tweet(50, 1)], authors, pull_at(2), LENGTH)
    later = fan_out(
        [follow(2, 1, 12, active=False), tweet(51, 1), follow(4, 1, 13)], authors, pull_at(2), LENGTH
    )
    assert crossing.pulled == [1]
    assert later.pulled == []
    assert crossing.deliveries.readers.tolist() == [1]
    assert later.deliveries.readers.tolist() == [1]


def test_a_repeated_event_changes_no_edge() -> None:
    authors = Authors(new_tables())
    first = fan_out([follow(2, 1, 10)], authors, pull_at(100), LENGTH)
    again = fan_out([follow(2, 1, 10)], authors, pull_at(100), LENGTH)
    assert first.edges == {2: {1: (10, True)}}
    assert again.edges == {}


def test_a_retweet_taken_back_is_sent_withdrawn() -> None:
    result = fan_out([retweet(70, 1, 5, 9, active=False)], Authors(new_tables()), pull_at(100), LENGTH)
    assert result.entries["flags"].tolist() == [RETWEET | WITHDRAWN]


def test_edges_survive_a_reload_however_often_they_changed() -> None:
    tables = new_tables()
    authors = Authors(tables)
    followers = range(10, 10 + 2 * EDGES_PER_BLOCK + 7)
    for round_number in range(6):
        events = [follow(f, 1, 100 + round_number, active=(f + round_number) % 2 == 0) for f in followers]
        fan_out(events, authors, pull_at(10_000), LENGTH)
    expected = {follower for follower in followers if follower % 2 == 1}
    assert set(Authors(tables).get(1).followers().tolist()) == expected
    assert len(tables.edges) <= 2 * (len(followers) // EDGES_PER_BLOCK + 1) + 1  # type: ignore[arg-type]


def test_parts_for_the_shards_hold_every_pair_once() -> None:
    authors = Authors(new_tables())
    fan_out([follow(reader, 1, reader) for reader in range(2, 40)], authors, pull_at(100), LENGTH)
    pairs = fan_out([tweet(50, 1), tweet(51, 1)], authors, pull_at(100), LENGTH).deliveries
    parts = list(pairs.by_shard(partitions=16, shards=4, most=7))
    joined = join([part for _, part in parts])
    found = zip(joined.readers.tolist(), joined.entries[joined.which]["appearance"].tolist(), strict=True)
    wanted = zip(pairs.readers.tolist(), pairs.entries[pairs.which]["appearance"].tolist(), strict=True)
    assert sorted(found) == sorted(wanted)
    assert all((part.readers % 16 % 4 == shard).all() and len(part) <= 7 for shard, part in parts)


@pytest.mark.parametrize(
    "event",
    [
        tweet(0, 1),
        tweet(1 << 63, 1),
        tweet(0x7FF0 << 48, 1),
        tweet(1, 1 << 56),
        follow(-1, 2, 3),
        retweet(5, 1, -2, 1),
    ],
)
def test_an_event_whose_ids_do_not_fit_an_entry_is_unfit(event: AnyEvent) -> None:
    assert unfit(event) is not None


def test_ordinary_events_are_fit() -> None:
    assert [unfit(event) for event in (tweet(1, 0), follow(0, 1, 2), retweet(5, 1, 2, 1))] == [None] * 3
