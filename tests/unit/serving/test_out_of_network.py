"""Candidates of accounts that the reader does not follow, over the in-memory store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.names import TWEET_ENGAGEMENT
from features.rows import encode_row, row_key
from serving.api.feed import item_shapes, page_shape
from serving.feed.candidates import SOURCES
from serving.shapes import FeedItem
from tests.unit.serving.conftest import NOW_MS
from tests.unit.serving.test_feed_ladder import ranking
from timelines import commands, popular
from timelines.bodies import AccountCard, Trend, TrendList, TweetBody

__all__ = ["ranking"]
FRIEND, STRANGER, COLD = 7, 70, 2


def tweet(world: Any, tweet_id: int, author: int = STRANGER, hashtags: tuple[str, ...] = ()) -> None:
    """A tweet that is in nobody's timeline."""
    world.write(commands.put_body, TweetBody(tweet_id, author, "text", NOW_MS - 60_000, hashtags=hashtags))


def like(world: Any, user: int, tweet_id: int, active: bool = True, at: int = 1) -> None:
    world.write(commands.set_like, user, tweet_id, at, active)


def engaged(world: Any, *tweets: int) -> None:
    """Tweets many engage with, the first most."""
    ids = np.array(tweets)
    world.write(popular.offer, ids, np.arange(len(ids), 0, -1.0), np.full(len(ids), NOW_MS))


def sources(answer: Any) -> dict[int, str]:
    return {
        tweet_id: SOURCES[source]
        for tweet_id, source in zip(answer.items.original.tolist(), answer.items.source.tolist(), strict=True)
    }


def test_what_a_followed_account_likes_comes_with_who_does(ranking: Any) -> None:
    tweet(ranking, 900)
    like(ranking, FRIEND, 900)
    ranking.write(commands.put_card, AccountCard(FRIEND, "ada", "Ada", NOW_MS), 1)
    answer = ranking.page("ranked", limit=10)
    assert sources(answer)[900] == "two_hop"
    shapes = {shape["tweet"]["id"]: shape for shape in item_shapes(answer.items, 0)}
    assert shapes["900"]["reason"] == "Liked by Ada, whom you follow"
    assert {shapes[str(own)]["reason"] for own in (10, 20)} == {"From an account you follow"}


def test_likes_that_were_taken_back_and_those_of_strangers_bring_nothing(ranking: Any) -> None:
    tweet(ranking, 900)
    like(ranking, FRIEND, 900, active=True, at=1)
    like(ranking, FRIEND, 900, active=False, at=2)
    tweet(ranking, 901)
    like(ranking, STRANGER, 901)
    assert not {900, 901} & set(sources(ranking.page("ranked", limit=10)))


def test_what_is_popular_comes_unless_its_author_is_followed_or_the_reader(ranking: Any) -> None:
    tweet(ranking, 900)
    tweet(ranking, 901, author=FRIEND)
    tweet(ranking, 902, author=ranking.reader)
    engaged(ranking, 900, 901, 902)
    found = sources(ranking.page("ranked", limit=10))
    assert found[900] == "popular"
    assert not {901, 902} & set(found)


def test_what_carries_a_term_that_trends_at_the_readers_place_is_trending(ranking: Any) -> None:
    ranking.write(commands.put_card, AccountCard(ranking.reader, "me", "Me", NOW_MS, "Oslo"), 1)
    for place, term in (("Oslo", "#Ski"), ("world", "#Sun")):
        ranking.write(
            commands.put_trends, place, "1h", TrendList(NOW_MS, (Trend(term, 1, 9, 3, 1.5, NOW_MS),))
        )
    tweet(ranking, 900, hashtags=("ski",))
    tweet(ranking, 901, hashtags=("sun",))
    engaged(ranking, 900, 901)
    found = sources(ranking.page("ranked", limit=10))
    assert (found[900], found[901]) == ("trending", "popular")


def test_without_a_list_of_the_readers_place_that_of_the_world_counts(ranking: Any) -> None:
    trends = TrendList(NOW_MS, (Trend("#Sun", 1, 9, 3, 1.5, NOW_MS),))
    ranking.write(commands.put_trends, "world", "1h", trends)
    tweet(ranking, 901, hashtags=("sun",))
    engaged(ranking, 901)
    assert sources(ranking.page("ranked", limit=10))[901] == "trending"


def test_accounts_not_followed_get_no_more_than_their_share_of_the_slots(ranking: Any) -> None:
    for number in range(900, 910):
        tweet(ranking, number, author=STRANGER + number)
    engaged(ranking, *range(900, 910))
    slots = list(sources(ranking.page("ranked", limit=5)).values())
    assert len(slots) == 5
    assert slots.count("popular") <= 1


def test_a_reader_who_follows_nobody_gets_what_is_popular_and_no_empty_page(ranking: Any) -> None:
    for number in (900, 901):
        tweet(ranking, number)
        row = encode_row(TWEET_ENGAGEMENT, NOW_MS, [1.0] * len(TWEET_ENGAGEMENT.columns))
        ranking.client.set(row_key(ranking.keys, TWEET_ENGAGEMENT, [number]), row)
    engaged(ranking, 900, 901)
    answer = ranking.page("ranked", reader=COLD)
    assert (answer.rung, set(sources(answer).values())) == ("full", {"popular"})
    assert len(answer.items) == 2


@pytest.mark.parametrize("kept_out", [commands.set_muted, commands.set_blocked])
def test_accounts_that_the_reader_keeps_out_stay_out(ranking: Any, kept_out: Any) -> None:
    tweet(ranking, 900)
    engaged(ranking, 900)
    like(ranking, FRIEND, 900)
    ranking.write(kept_out, ranking.reader, STRANGER, 5, True)
    assert 900 not in sources(ranking.page("ranked", limit=10))


def test_what_is_not_public_is_not_recommended(ranking: Any) -> None:
    private = TweetBody(900, STRANGER, "text", NOW_MS - 60_000, visibility="followers")
    ranking.write(commands.put_body, private)
    engaged(ranking, 900)
    assert 900 not in sources(ranking.page("ranked", limit=10))


def test_the_order_of_followed_and_others_can_be_rebuilt_from_the_json_alone(ranking: Any) -> None:
    strangers = range(900, 906)
    for place, number in enumerate(strangers):
        body = TweetBody(number, number, "text", NOW_MS - (place + 1) * 40_000_000)
        ranking.write(commands.put_body, body)
    engaged(ranking, *strangers)
    page = page_shape(ranking.page("ranked", limit=100), None, True, 0.0)
    share = page["explanation"]["out_of_network"]
    assert share is not None
    left = sorted(page["items"], key=lambda item: (-(item["score"] or 0.0), -int(item["appearance_id"])))
    rebuilt: list[FeedItem] = []
    outside = 0
    while left:
        followed = [item for item in left if item["source"] in ("following", "celebrity")]
        room = not followed or outside + 1 <= share * (len(rebuilt) + 1)
        best = left[0] if room else followed[0]
        outside += best["source"] not in ("following", "celebrity")
        left.remove(best)
        rebuilt.append(best)
    assert outside == len(strangers)
    assert rebuilt != sorted(rebuilt, key=lambda item: -(item["score"] or 0.0))
    assert [item["tweet"]["id"] for item in rebuilt] == [item["tweet"]["id"] for item in page["items"]]
