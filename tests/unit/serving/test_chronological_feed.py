"""The chronological feed: the newest appearance of each original, newest first, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from serving.feed.cursor import CursorError


def test_tweets_come_newest_first(world) -> None:
    world.follow(7, 8)
    for tweet_id, author in [(10, 7), (30, 8), (20, 7)]:
        world.tweet(tweet_id, author)
    answer = world.page()
    assert answer.items.original.tolist() == [30, 20, 10]
    assert (answer.rung, answer.reason, answer.model) == ("chronological", "requested", None)
    assert answer.next_cursor is None


def test_an_original_stays_once_at_its_newest_appearance_with_its_retweeters(world) -> None:
    world.follow(7, 8, 9)
    world.tweet(10, 7)
    world.tweet(20, 8)
    world.retweet(30, by=8, tweet_id=10, author=7)
    world.retweet(40, by=9, tweet_id=10, author=7)
    answer = world.page()
    assert list(zip(answer.items.original.tolist(), answer.items.appearance.tolist(), strict=True)) == [
        (10, 40),
        (20, 20),
    ]
    assert [user["id"] for user in answer.items.retweeted_by[0]] == ["9", "8"]
    assert answer.removed["duplicates"] == 2


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_scrolling_shows_every_original_once_whatever_the_page_size(world, limit: int) -> None:
    world.follow(7, 8)
    for tweet_id in range(10, 20):
        world.tweet(tweet_id, 7)
    for tweet_id in (11, 14, 18):
        world.retweet(tweet_id + 90, by=8, tweet_id=tweet_id, author=7)
    assert world.scroll(limit) == [18, 14, 11, 19, 17, 16, 15, 13, 12, 10]


def test_a_tweet_lifted_by_a_new_retweet_between_two_pages_is_not_skipped(world) -> None:
    world.follow(7, 8)
    for tweet_id in (10, 20, 30, 40):
        world.tweet(tweet_id, 7)
    first = world.page(limit=2)
    world.retweet(50, by=8, tweet_id=10, author=7)
    second = world.page(limit=2, cursor=first.next_cursor)
    assert first.items.original.tolist() + second.items.original.tolist() == [40, 30, 20, 10]


def test_a_deleted_tweet_is_dropped_and_the_page_is_filled_from_what_follows(world) -> None:
    world.follow(7)
    for tweet_id in (10, 20, 30, 40):
        world.tweet(tweet_id, 7)
    for tweet_id in (40, 30):
        world.delete(tweet_id, 7)
    answer = world.page(limit=2)
    assert answer.items.original.tolist() == [20, 10]
    assert answer.next_cursor is None
    assert answer.removed["deleted"] == 2


def test_a_tweet_without_a_body_waits_until_the_body_is_here(world) -> None:
    world.follow(7)
    world.tweet(10, 7, body=False)
    assert len(world.page().items) == 0
    world.tweet(10, 7)
    assert world.page().items.original.tolist() == [10]


def test_the_own_tweets_are_in_the_chronological_feed(world) -> None:
    world.tweet(10, world.reader)
    assert world.page().items.original.tolist() == [10]


def test_positions_count_on_over_the_pages(world) -> None:
    world.follow(7)
    for tweet_id in (10, 20, 30):
        world.tweet(tweet_id, 7)
    first = world.page(limit=2)
    world.page(limit=2, cursor=first.next_cursor)
    assert [impression.position for impression in world.impressions] == [0, 1, 2]


def test_a_cursor_of_another_reader_is_refused(world) -> None:
    world.follow(7)
    for tweet_id in (10, 20):
        world.tweet(tweet_id, 7)
    cursor = world.page(limit=1).next_cursor
    with pytest.raises(CursorError):
        world.page(cursor=cursor, reader=2)


def test_what_an_audit_reads_is_the_same_page_and_no_impression(world: Any) -> None:
    world.follow(2)
    world.tweet(20, 2)
    audited = world.page(audit=True)
    assert world.impressions == []
    assert audited.items.original.tolist() == world.page().items.original.tolist()
    assert len(world.impressions) == 1
