"""A ranking is scrolled while marks, follows, blocks and mutes change: what holds now counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from serving.api.feed import item_shapes
from serving.feed.snapshot import SNAPSHOT_VERSION, SnapshotGoneError
from tests.unit.serving.conftest import NOW_MS
from tests.unit.serving.test_feed_ladder import ids, ranking
from tests.unit.serving.test_ladder import laddered
from tests.unit.serving.test_out_of_network import FRIEND, STRANGER, engaged, like, sources, tweet
from timelines import commands, marks
from timelines.bodies import AccountCard, TweetBody

__all__ = ["laddered", "ranking"]
BOB = 8


def test_tweets_marked_since_are_left_out_and_what_follows_fills_the_page(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    for number in (30, 40):
        ranking.write(marks.put_mark, "tweet", number, marks.StoredMark("quarantine", "rule", NOW_MS, False))
    second = ranking.page("ranked", limit=2, cursor=first.next_cursor)
    assert ids(second) == [50]
    assert len(item_shapes(second.items, 0)) == 1


@pytest.mark.parametrize("visibility", ["public", "followers"])
def test_tweets_of_an_account_unfollowed_since_are_left_out(ranking: Any, visibility: str) -> None:
    ranking.follow(BOB)
    ranking.tweet(60, BOB, body=False)
    body = TweetBody(60, BOB, "text", NOW_MS - 60_000, visibility=visibility)
    ranking.write(commands.put_body, body)
    first = ranking.page("ranked", limit=2)
    assert 60 not in ids(first)
    ranking.write(commands.set_followee, ranking.reader, BOB, 2, False)
    assert 60 not in ids(ranking.page("ranked", limit=10, cursor=first.next_cursor))


def test_a_retweeter_who_blocked_the_reader_since_is_not_named(ranking: Any) -> None:
    ranking.follow(BOB, 9)
    for number, by in ((60, BOB), (61, 9)):
        ranking.retweet(number, by, 50, FRIEND)
        ranking.write(commands.put_card, AccountCard(by, f"h{by}", f"N{by}", NOW_MS), 1)
    first = ranking.page("ranked", limit=2)
    ranking.write(commands.set_blocked, BOB, ranking.reader, 5, True)
    second = ranking.page("ranked", limit=10, cursor=first.next_cursor)
    named = {
        shape["tweet"]["id"]: shape["tweet"].get("retweeted_by", []) for shape in item_shapes(second.items, 0)
    }
    assert [user["handle"] for user in named["50"]] == ["h9"]


def test_a_muted_account_is_not_named_as_the_reason(ranking: Any) -> None:
    tweet(ranking, 900)
    like(ranking, FRIEND, 900)
    ranking.write(commands.set_muted, ranking.reader, FRIEND, 5, True)
    assert 900 not in sources(ranking.page("ranked", limit=10))


def test_what_went_and_came_back_is_neither_lost_into_a_loop_nor_repeated(ranking: Any) -> None:
    for number in (70, 71, 72):
        ranking.tweet(number, ranking.reader)
    answer = ranking.page("ranked", limit=2)
    found = ids(answer)
    ranking.write(commands.set_muted, ranking.reader, FRIEND, 5, True)
    answer = ranking.page("ranked", limit=1, cursor=answer.next_cursor)
    found += ids(answer)
    ranking.write(commands.set_muted, ranking.reader, FRIEND, 6, False)
    while answer.next_cursor is not None:
        answer = ranking.page("ranked", limit=3, cursor=answer.next_cursor)
        found += ids(answer)
    assert len(found) == len(set(found))


def test_later_pages_say_the_rung_and_the_reason_of_the_first(laddered: Any) -> None:
    laddered.feed.load.under_way = 2
    first = laddered.page("ranked", limit=1)
    laddered.feed.load.under_way = 0
    second = laddered.page("ranked", limit=1, cursor=first.next_cursor)
    assert (first.rung, first.reason) == (second.rung, second.reason) == ("light", "overload")
    assert first.candidates == second.candidates
    assert {impression.rung for impression in laddered.impressions} == {"light"}


def test_a_ranking_of_another_build_is_gone(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    (key,) = ranking.client.keys_from(f"{ranking.keys.prefix}:ranking:")
    stored = msgspec.msgpack.decode(ranking.client.get(key.decode()))
    ranking.client.set(key.decode(), msgspec.msgpack.encode(stored | {"v": SNAPSHOT_VERSION + 1}))
    with pytest.raises(SnapshotGoneError):
        ranking.page("ranked", limit=2, cursor=first.next_cursor)


def test_under_load_accounts_not_followed_keep_to_their_share_of_the_candidates(laddered: Any) -> None:
    for number in range(900, 960):
        tweet(laddered, number, author=STRANGER + number)
    engaged(laddered, *range(900, 950))
    laddered.feed.load.under_way = 1
    answer = laddered.page("ranked", limit=5)
    assert answer.rung == "reduced"
    assert "following" in sources(answer).values()


@pytest.mark.parametrize("away", ["model", "time"])
def test_who_follows_nobody_gets_what_is_popular_where_nothing_can_be_ranked(ranking: Any, away: str) -> None:
    tweet(ranking, 900)
    engaged(ranking, 900)
    if away == "model":
        ranking.models.current = None
    else:
        limits = dataclasses.replace(ranking.feed.limits, deadline_seconds=-1.0)
        ranking.feed = dataclasses.replace(ranking.feed, limits=limits)
    answer = ranking.page("ranked", reader=2)
    assert sources(answer) == {900: "popular"}
    assert answer.rung == "chronological"
