"""Candidates by the reader's own taste, over the in-memory store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from ingestion.events import AnyEvent, ClientReport, LikeChanged, RetweetChanged
from pipelines.stream import content
from serving.api.feed import item_shapes
from serving.cache import Ages, Cache
from serving.feed import pipelines
from serving.feed.query import FeedQuery
from serving.feed.similar import ByTopic, Similar, by_topic
from serving.reads import Reads
from tests.unit.serving.conftest import NOW_MS
from tests.unit.serving.test_feed_ladder import ranking
from tests.unit.serving.test_out_of_network import FRIEND, STRANGER, engaged, like, sources, tweet
from timelines import commands, interests
from timelines.bodies import TweetBody
from timelines.keys import Keyspace
from timelines.topics import topics_of_hashtags

__all__ = ["ranking"]
TWIN, OTHER_TWIN = 80, 81
SKI, SUN = topics_of_hashtags(("ski", "sun"))
BUILT_MS = NOW_MS - 3_600_000


def interested(world: Any, similar: tuple[int, ...] = (), topics: dict[int, float] | None = None) -> None:
    """What the batch side has found of the reader."""
    rated = topics or {}
    value = interests.encode(BUILT_MS, similar, list(rated), list(rated.values()))
    world.write(interests.put, np.array([world.reader]), [value])


def of_source(answer: Any, name: str = "similar") -> set[int]:
    return {tweet_id for tweet_id, source in sources(answer).items() if source == name}


def test_what_accounts_with_the_readers_taste_like_is_a_candidate(ranking: Any) -> None:
    interested(ranking, similar=(TWIN,))
    tweet(ranking, 900)
    like(ranking, TWIN, 900)
    answer = ranking.page("ranked", limit=10)
    assert of_source(answer) == {900}
    shapes = {shape["tweet"]["id"]: shape for shape in item_shapes(answer.items, 0)}
    assert shapes["900"]["reason"] == "Close to what you like"


def test_what_more_of_them_like_comes_first_where_there_is_no_room_for_all(
    ranking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "Similar", partial(Similar, liked=1))
    interested(ranking, similar=(TWIN, OTHER_TWIN))
    for tweet_id in (900, 901):
        tweet(ranking, tweet_id)
        like(ranking, TWIN, tweet_id)
    like(ranking, OTHER_TWIN, 900)
    assert of_source(ranking.page("ranked", limit=10)) == {900}


def test_what_is_popular_on_a_topic_of_the_reader_comes_for_that_topic(ranking: Any) -> None:
    interested(ranking, topics={SKI: 2.0})
    tweet(ranking, 900, hashtags=("Ski",))
    tweet(ranking, 901, hashtags=("sun",))
    engaged(ranking, 900, 901)
    answer = ranking.page("ranked", limit=10)
    assert (of_source(answer), of_source(answer, "popular")) == ({900}, {901})


EDGE: dict[str, Any] = {"ts": NOW_MS, "user_id": 1, "tweet_id": 901, "author_id": STRANGER, "active": True}


@pytest.mark.parametrize(
    "event",
    [
        LikeChanged(event_id="e", **EDGE),
        RetweetChanged(event_id="e", retweet_id=990, **EDGE),
        ClientReport(
            event_id="e", ts=NOW_MS, feed_request_id="r", user_id=1, tweet_id=901, position=0, action="open"
        ),
    ],
    ids=["like", "retweet", "open"],
)
def test_an_event_of_the_log_brings_its_topic_at_the_next_request(ranking: Any, event: AnyEvent) -> None:
    tweet(ranking, 900, hashtags=("sun",))
    tweet(ranking, 901, hashtags=("sun", "sea"))
    engaged(ranking, 900)
    assert of_source(ranking.page("ranked", limit=10)) == set()
    ranking.write(content.write, [event])
    assert of_source(ranking.page("ranked", limit=10)) == {900}


def test_a_like_that_was_taken_back_brings_nothing(ranking: Any) -> None:
    tweet(ranking, 900, hashtags=("sun",))
    tweet(ranking, 901, hashtags=("sun",))
    engaged(ranking, 900)
    like(ranking, ranking.reader, 901, at=NOW_MS - 5)
    like(ranking, ranking.reader, 901, active=False, at=NOW_MS)
    assert of_source(ranking.page("ranked", limit=10)) == set()


def test_what_the_reader_did_already_and_accounts_followed_or_kept_out_are_left_out(ranking: Any) -> None:
    interested(ranking, similar=(TWIN, FRIEND), topics={SKI: 1.0})
    for tweet_id, author in ((900, STRANGER), (901, FRIEND), (902, 71), (903, STRANGER)):
        tweet(ranking, tweet_id, author=author, hashtags=("ski",))
    for tweet_id in (900, 901, 902):
        like(ranking, TWIN, tweet_id)
    like(ranking, FRIEND, 903)
    like(ranking, ranking.reader, 900)
    ranking.write(commands.set_muted, ranking.reader, 71, 5, True)
    answer = ranking.page("ranked", limit=10)
    assert of_source(answer) == set()
    assert sources(answer)[903] == "two_hop"


def test_the_topics_of_a_reader_share_the_room(ranking: Any) -> None:
    interested(ranking, topics={SKI: 9.0, SUN: 1.0})
    skiing = list(range(900, 920))
    for number in skiing:
        tweet(ranking, number, author=number, hashtags=("ski",))
    tweet(ranking, 950, author=950, hashtags=("sun",))
    engaged(ranking, *skiing, 950)
    assert of_source(ranking.page("ranked", limit=50)) == {*skiing[:6], 950}


def test_for_a_reader_of_whom_nothing_is_known_nothing_is_looked_up() -> None:
    async def load(keys: Sequence[str]) -> Mapping[str, ByTopic]:
        raise AssertionError("What is popular was looked up.")

    source = Similar(Reads(None, Keyspace("", 4)), Cache(load, Ages(5.0, 60.0), 1, lambda: 0.0))
    query = FeedQuery(reader=1, limit=10, now_ms=NOW_MS, request_id="r")
    assert len(asyncio.run(source.fetch(query))) == 0


@pytest.mark.parametrize("length", [3, 10, 12, 30])
def test_interests_that_were_cut_off_are_as_good_as_absent(length: int) -> None:
    whole = interests.encode(BUILT_MS, (TWIN, OTHER_TWIN), (SKI,), (1.0,))
    assert interests.decode([whole, [], [], []]).similar == (TWIN, OTHER_TWIN)
    assert interests.decode([whole[:length], [], [], []]) == interests.Interests()


def test_tweets_are_found_by_each_of_their_topics() -> None:
    both = TweetBody(1, 7, "", NOW_MS, hashtags=("ski", "sun"))
    twice = TweetBody(2, 7, "", NOW_MS, hashtags=("sun", "Sun"))
    none = TweetBody(3, 7, "", NOW_MS)
    assert by_topic([both, twice, none]) == {SKI: [both], SUN: [both, twice]}
