"""What every timeline store does: pushes, trims, expires, guards versions, rebuilds."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
import pytest

from timelines import bodies, commands, timeline
from timelines.entry import RETWEET, WITHDRAWN, Entries, EntryError, entries, entry
from timelines.home import HomeReader

BIG = 2**60  # neighbours here are one and the same float
AUTHOR, READER, OTHER = 7, 9, 11


def tweets(author: int, *ids: int) -> Entries:
    return entries([(BIG + number, author, BIG + number, author, 0) for number in ids])


def ids(found: Entries) -> list[int]:
    return [int(appearance) - BIG for appearance in found["appearance"]]


def stored_home(store: Any) -> Any:
    parts = (store.client.get(key) for key in (store.keys.home(READER), store.keys.home_tail(READER)))
    return timeline.decode_home(*parts)


def ready(store: Any, *followees: int) -> None:
    """READER has an empty complete home and follows ``followees``."""
    store.activate(READER)
    for followee in followees:
        store.follow(READER, followee)


def test_a_delivered_entry_is_read_newest_first(store: Any) -> None:
    ready(store, AUTHOR)
    store.deliver([READER], tweets(AUTHOR, 1, 3, 2))
    assert ids(store.read(READER).entries) == [3, 2, 1]


def test_all_fields_of_an_entry_survive(store: Any) -> None:
    ready(store, AUTHOR)
    sent = entry(2**62 + 1, AUTHOR, 2**61 + 3, 2**55 + 5, RETWEET)
    store.deliver([READER], sent)
    assert store.read(READER).entries.tolist() == sent.tolist()


def test_a_delivery_to_a_reader_without_a_home_is_not_kept(store: Any) -> None:
    assert store.deliver([READER], tweets(AUTHOR, 1)) == 0
    assert stored_home(store) is None
    assert store.client.get(store.keys.home_tail(READER)) is None


def test_one_call_serves_readers_of_many_partitions(store: Any) -> None:
    readers = list(range(100, 120))
    store.activate(*readers)
    for reader in readers:
        store.follow(reader, AUTHOR)
    assert store.deliver(readers, tweets(AUTHOR, 1, 2)) == len(readers)
    assert all(ids(store.read(reader).entries) == [2, 1] for reader in readers)


def test_what_is_delivered_twice_is_read_once(store: Any) -> None:
    ready(store, AUTHOR)
    for _ in range(5):
        store.deliver([READER], tweets(AUTHOR, 1, 2))
    assert ids(store.read(READER).entries) == [2, 1]


def test_only_the_newest_are_kept_whatever_the_order_of_arrival(store: Any) -> None:
    ready(store, AUTHOR)
    numbers = list(range(200))
    random.Random(3).shuffle(numbers)
    store.publish(tweets(AUTHOR, *sorted(numbers)))
    for number in numbers:
        store.deliver([READER], tweets(AUTHOR, number))
    home = stored_home(store)
    assert home.generation > 10
    assert len(home.entries) <= 5 + 6
    read = store.read(READER)
    assert ids(read.entries) == [199, 198, 197, 196, 195]
    assert not read.rebuilt


@pytest.mark.parametrize("part", ["home", "home_tail"])
def test_a_timeline_that_lost_one_of_its_strings_is_rebuilt(store: Any, part: str) -> None:
    ready(store, AUTHOR)
    store.publish(tweets(AUTHOR, *range(20)))
    store.deliver([READER], tweets(AUTHOR, *range(20)))
    store.client.delete(getattr(store.keys, part)(READER))
    store.deliver([READER], tweets(AUTHOR, 18))
    first, second = store.read(READER), store.read(READER)
    assert (ids(first.entries), first.rebuilt) == ([19, 18, 17, 16, 15], True)
    assert (ids(second.entries), second.rebuilt) == ([19, 18, 17, 16, 15], False)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_trim_keeps_the_newest_in_ascending_order_and_sets_the_floor(store: Any, shuffled: bool) -> None:
    ready(store, AUTHOR)
    numbers = list(range(300, 400))
    if shuffled:
        random.Random(5).shuffle(numbers)
    store.deliver([READER], entries([(BIG + n, AUTHOR, BIG + n, AUTHOR, 0) for n in numbers]))
    home = stored_home(store)
    assert ids(home.entries) == [395, 396, 397, 398, 399]
    assert (home.complete, home.floor) == (True, BIG + 394)


def test_ids_that_differ_only_beyond_a_double_are_told_apart(store: Any) -> None:
    ready(store, AUTHOR)
    top = 2**62
    store.deliver([READER], entries([(top + n % 20, AUTHOR, top, AUTHOR, RETWEET) for n in range(13, 43)]))
    assert [int(i) - top for i in store.read(READER).entries["appearance"]] == [19, 18, 17, 16, 15]


def test_a_withdrawn_entry_is_hidden_whichever_copy_came_first(store: Any) -> None:
    made, withdrawn = tweets(AUTHOR, 1), entry(BIG + 1, AUTHOR, BIG + 1, AUTHOR, WITHDRAWN)
    for reader, order in ((9, (made, withdrawn)), (10, (withdrawn, made)), (14, (withdrawn, made, made))):
        store.activate(reader)
        store.follow(reader, AUTHOR)
        for copy in order:
            store.deliver([reader], copy)
        store.deliver([reader], tweets(AUTHOR, 2))
        assert ids(store.read(reader).entries) == [2]


def test_a_withdrawn_entry_survives_the_trim_and_keeps_its_place(store: Any) -> None:
    ready(store, AUTHOR)
    store.deliver([READER], entry(BIG + 98, AUTHOR, BIG + 98, AUTHOR, WITHDRAWN))
    store.deliver([READER], tweets(AUTHOR, *range(50, 100)))
    assert ids(store.read(READER).entries) == [99, 97, 96, 95]


def test_unfollowing_hides_at_once_and_following_again_shows(store: Any) -> None:
    ready(store, AUTHOR)
    store.deliver([READER], tweets(AUTHOR, 1))
    store.follow(READER, AUTHOR, ts_ms=2, active=False)
    assert ids(store.read(READER).entries) == []
    store.follow(READER, AUTHOR, ts_ms=3)
    assert ids(store.read(READER).entries) == [1]


def test_the_later_change_of_an_edge_wins_whatever_the_order_of_arrival(store: Any) -> None:
    ready(store)
    store.deliver([READER], tweets(AUTHOR, 1))
    store.follow(READER, AUTHOR, ts_ms=5, active=False)
    store.follow(READER, AUTHOR, ts_ms=4)
    assert ids(store.read(READER).entries) == []
    store.follow(READER, AUTHOR, ts_ms=5)
    assert ids(store.read(READER).entries) == [1]


def test_an_unfollow_in_the_millisecond_of_a_follow_ends_that_follow_and_no_later_one(store: Any) -> None:
    ready(store)
    for followee, ts in ((AUTHOR, 5), (OTHER, (1 << 52) - 1)):
        store.follow(READER, followee, ts)
        store.write(commands.settle_tie, READER, followee, 4)
        assert followee in store.read(READER).followees
        store.write(commands.settle_tie, READER, followee, ts)
        assert followee not in store.read(READER).followees
    store.follow(READER, AUTHOR, 6)
    store.write(commands.settle_tie, READER, AUTHOR, 5)
    store.write(commands.settle_tie, READER, 99, 5)
    assert store.read(READER).followees.tolist() == [AUTHOR]


def test_own_entries_are_read_without_following_oneself(store: Any) -> None:
    ready(store)
    store.deliver([READER], tweets(READER, 1))
    assert ids(store.read(READER).entries) == [1]


def test_pulled_authors_are_merged_at_read_and_marked(store: Any) -> None:
    ready(store, AUTHOR, OTHER)
    store.deliver([READER], tweets(AUTHOR, 1, 3, 5))
    store.publish(tweets(OTHER, 2, 4))
    assert ids(store.read(READER).entries) == [5, 3, 1]
    store.write(commands.mark_pulled, [OTHER])
    read = store.read(READER).entries
    assert ids(read) == [5, 4, 3, 2, 1]
    assert read["pulled"].tolist() == [False, True, False, True, False]


def test_an_author_who_becomes_pulled_is_not_read_twice(store: Any) -> None:
    ready(store, AUTHOR)
    store.publish(tweets(AUTHOR, 1, 2))
    store.deliver([READER], tweets(AUTHOR, 1))
    store.write(commands.mark_pulled, [AUTHOR])
    assert ids(store.read(READER).entries) == [2, 1]


def test_a_missing_home_is_rebuilt_from_outboxes_and_collects_deliveries_again(store: Any) -> None:
    store.follow(READER, AUTHOR)
    store.publish(tweets(AUTHOR, 1, 2, 3, 4, 5, 6, 7))
    store.publish(tweets(READER, 8))
    first = store.read(READER)
    assert (ids(first.entries), first.rebuilt) == ([8, 7, 6, 5, 4], True)
    store.deliver([READER], tweets(AUTHOR, 9))
    second = store.read(READER)
    assert (ids(second.entries), second.rebuilt) == ([9, 8, 7, 6, 5], False)


def test_a_full_timeline_is_completed_after_an_unfollow_and_only_once(store: Any) -> None:
    ready(store, AUTHOR, OTHER)
    for batch in (tweets(AUTHOR, 1, 2, 3, 4, 5), tweets(OTHER, *range(10, 60))):
        store.publish(batch)
        store.deliver([READER], batch)
    store.follow(READER, OTHER, ts_ms=2, active=False)
    first, second = store.read(READER), store.read(READER)
    assert (ids(first.entries), first.rebuilt) == ([5, 4, 3, 2, 1], True)
    assert (ids(second.entries), second.rebuilt) == ([5, 4, 3, 2, 1], False)


def test_a_short_untrimmed_timeline_answers_without_a_rebuild(store: Any) -> None:
    ready(store, AUTHOR)
    store.deliver([READER], tweets(AUTHOR, 1))
    assert not store.read(READER).rebuilt


def test_an_old_entry_that_arrives_below_the_floor_does_not_leave_a_gap(store: Any) -> None:
    ready(store, AUTHOR, OTHER)
    for batch in (tweets(AUTHOR, *range(100, 150)), tweets(OTHER, 3), tweets(AUTHOR, *range(1, 3))):
        store.publish(batch)
        store.deliver([READER], batch)
    store.follow(READER, AUTHOR, ts_ms=2, active=False)
    assert ids(store.read(READER).entries) == [3]


def test_activation_makes_a_home_once_even_after_it_expired(store: Any) -> None:
    assert store.activate(READER) == 1
    assert store.activate(READER) == 0
    store.write(commands.drop_home, READER)
    assert store.activate(READER) == 0
    assert stored_home(store) is None
    assert store.client.get(store.keys.home_tail(READER)) is None


def test_a_home_expires_and_only_reading_renews_it(store: Any) -> None:
    ready(store, AUTHOR)
    key, week = store.keys.home(READER), 7 * 24 * 3600 * 1000
    assert 0 < store.client.pttl(key) <= week
    both = (key, store.keys.home_tail(READER))
    for part in both:
        store.client.set(part, store.client.get(part), px=60_000)
    store.deliver([READER], tweets(AUTHOR, *range(50)))
    assert stored_home(store).generation > 0
    assert all(0 < store.client.pttl(part) <= 60_000 for part in both)
    store.read(READER)
    assert all(store.client.pttl(part) > 60_000 for part in both)


def test_outboxes_do_not_expire(store: Any) -> None:
    store.publish(tweets(AUTHOR, 1))
    assert store.client.pttl(store.keys.outbox(AUTHOR)) == -1


def test_limit_cuts_the_answer(store: Any) -> None:
    ready(store, AUTHOR)
    store.deliver([READER], tweets(AUTHOR, 1, 2, 3))
    assert ids(store.read(READER, limit=2).entries) == [3, 2]


def test_following_backfills_from_the_outbox(store: Any) -> None:
    ready(store)
    store.publish(tweets(AUTHOR, 1, 2))
    store.follow(READER, AUTHOR)
    store.run(lambda client: HomeReader(client, store.keys, store.settings).backfill(READER, AUTHOR))
    read = store.read(READER)
    assert (ids(read.entries), read.rebuilt) == ([2, 1], False)


def test_readers_that_ask_together_share_one_rebuild(store: Any) -> None:
    store.follow(READER, AUTHOR)
    store.publish(tweets(AUTHOR, 1))
    opened: list[str] = []

    async def scenario(client: Any) -> None:
        original = client.fcall

        async def counted(function: str, *args: Any) -> Any:
            opened.append(function)
            return await original(function, *args)

        client.fcall = counted
        reader = HomeReader(client, store.keys, store.settings)
        answers = await asyncio.gather(*(reader.read(READER) for _ in range(20)))
        assert all(ids(answer.entries) == [1] for answer in answers)

    store.run(scenario)
    assert opened == ["open_home", "fill_home"]


def test_a_delivery_during_a_rebuild_is_kept(store: Any) -> None:
    store.follow(READER, AUTHOR)
    store.publish(tweets(AUTHOR, 1))

    async def scenario(client: Any) -> None:
        original = client.fcall

        async def with_delivery(function: str, *args: Any) -> Any:
            if function == "fill_home":
                store.publish(tweets(AUTHOR, 2))
                store.deliver([READER], tweets(AUTHOR, 2))
            return await original(function, *args)

        client.fcall = with_delivery
        await HomeReader(client, store.keys, store.settings).read(READER)

    store.run(scenario)
    read = store.read(READER)
    assert (ids(read.entries), read.rebuilt) == ([2, 1], False)


def test_a_trim_during_a_rebuild_does_not_hide_a_gap(store: Any) -> None:
    ready(store, AUTHOR, OTHER)
    for batch in (tweets(AUTHOR, 1, 2, 3, 4, 5), tweets(OTHER, *range(10, 60))):
        store.publish(batch)
        store.deliver([READER], batch)
    store.follow(READER, OTHER, ts_ms=2, active=False)

    async def scenario(client: Any) -> None:
        original = client.fcall

        async def with_trim(function: str, *args: Any) -> Any:
            if function == "fill_home":
                store.publish(tweets(AUTHOR, 6))
                store.deliver([READER], tweets(AUTHOR, 6))
                store.deliver([READER], tweets(OTHER, *range(60, 90)))
            return await original(function, *args)

        client.fcall = with_trim
        await HomeReader(client, store.keys, store.settings).read(READER)

    store.run(scenario)
    assert ids(store.read(READER).entries) == [6, 5, 4, 3, 2]


def test_a_trim_during_a_rebuild_that_found_nothing_leaves_no_gap(store: Any) -> None:
    ready(store, AUTHOR, OTHER)
    store.deliver([READER], tweets(OTHER, *range(10, 60)))
    store.deliver([READER], tweets(OTHER, 60))
    store.follow(READER, OTHER, ts_ms=2, active=False)

    async def scenario(client: Any) -> None:
        original = client.fcall

        async def with_trim(function: str, *args: Any) -> Any:
            if function == "fill_home":
                store.publish(tweets(AUTHOR, 6))
                store.deliver([READER], tweets(AUTHOR, 6))
                store.deliver([READER], tweets(OTHER, *range(61, 90)))
            return await original(function, *args)

        client.fcall = with_trim
        await HomeReader(client, store.keys, store.settings).read(READER)

    store.run(scenario)
    assert ids(store.read(READER).entries) == [6]


def test_old_pulled_entries_do_not_hide_newer_ones_that_were_trimmed(store: Any) -> None:
    pulled = 13
    ready(store, AUTHOR, OTHER, pulled)
    store.write(commands.mark_pulled, [pulled])
    store.publish(tweets(pulled, 1, 2, 3, 4, 5))
    for batch in (tweets(AUTHOR, 21, 22, 23), tweets(OTHER, *range(30, 80))):
        store.publish(batch)
        store.deliver([READER], batch)
    store.deliver([READER], tweets(OTHER, 80))
    store.follow(READER, OTHER, ts_ms=2, active=False)
    assert ids(store.read(READER).entries) == [23, 22, 21, 5, 4]


def test_a_late_entry_is_sorted_in_after_a_trim(store: Any) -> None:
    ready(store, AUTHOR)
    store.deliver([READER], tweets(AUTHOR, *range(100, 140)))
    store.deliver([READER], tweets(AUTHOR, *range(141, 160)))
    store.deliver([READER], tweets(AUTHOR, 157, 140, *range(160, 162), 158, *range(1, 9)))
    home = stored_home(store)
    assert ids(home.entries) == [157, 158, 159, 160, 161]
    assert home.floor == BIG + 156


def test_owners_and_entries_of_different_lengths_are_refused(store: Any) -> None:
    with pytest.raises(EntryError, match="2 timeline owners do not match 1 entries"):
        store.write(commands.deliver, store.settings, np.array([1, 2]), tweets(AUTHOR, 1))


def test_a_tombstone_wins_over_a_late_create(store: Any) -> None:
    body = bodies.TweetBody(tweet_id=1, author_id=AUTHOR, text="hello", created_at=5, hashtags=("a",))
    gone = bodies.tombstone(1, AUTHOR)
    store.write(commands.put_body, body)
    assert bodies.decode_body(store.client.get(store.keys.tweet(1))) == body
    store.write(commands.put_body, gone)
    store.write(commands.put_body, body)
    assert bodies.decode_body(store.client.get(store.keys.tweet(1))) == gone


def test_a_lower_version_of_a_card_or_count_never_overwrites(store: Any) -> None:
    card = bodies.AccountCard(user_id=1, handle="a", display_name="A", created_at=5)
    later = bodies.AccountCard(user_id=1, handle="b", display_name="B", created_at=5, place="Here")
    big = 2**60
    store.write(commands.put_card, later, big + 1)
    store.write(commands.put_card, card, big)
    assert bodies.decode_card(store.client.get(store.keys.account(1))) == later
    for counts, version in (
        (bodies.TweetCounts(9, 8, 7, 6), big + 2),
        (bodies.TweetCounts(1, 1, 1, 1), big + 1),
    ):
        store.write(commands.set_tweet_counts, 1, counts, version)
    assert bodies.decode_tweet_counts(store.client.get(store.keys.counts(1))) == bodies.TweetCounts(
        9, 8, 7, 6
    )
    store.write(commands.set_account_counts, 1, bodies.AccountCounts(1, 2, 3), 1)
    store.write(commands.set_account_counts, 1, bodies.AccountCounts(0, 2, 3), 2)
    stored = store.client.get(store.keys.account_counts(1))
    assert bodies.decode_account_counts(stored) == bodies.AccountCounts(0, 2, 3)


def test_trends_are_replaced_by_later_ones_only(store: Any) -> None:
    new = bodies.TrendList(20, (bodies.Trend("#a", 1, 5, 4, 0.5, 10),))
    for trends in (bodies.TrendList(10, ()), new, bodies.TrendList(15, ())):
        store.write(commands.put_trends, "world", "1h", trends)
    assert bodies.decode_trends(store.client.get(store.keys.trends("world", "1h"))) == new


def test_likes_and_retweets_are_last_writer_wins(store: Any) -> None:
    for ts_ms, active in ((5, True), (9, False), (7, True)):
        store.write(commands.set_like, 1, 2, ts_ms, active)
        store.write(commands.set_retweet, 1, 2, ts_ms, active)
    assert int(store.client.zscore(store.keys.likes(1), "2")) & 1 == 0
    assert int(store.client.zscore(store.keys.retweets(1), "2")) & 1 == 0
