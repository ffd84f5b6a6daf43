"""What each filter of a ranking takes out, on tables made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.feed.candidates import FOLLOWING, POPULAR, Candidates, joined, objects
from serving.feed.filters import (
    Conversations,
    Duplicates,
    FollowersOnly,
    PrunedByLightRanker,
    Ranked,
    Seen,
    Served,
    TooOld,
)
from serving.feed.query import FeedQuery
from timelines.bodies import TweetBody
from timelines.entry import ENTRY_DTYPE
from timelines.home import HomeTimeline
from timelines.lately import SEEN, SERVED

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def table(*ids: int, **columns: Any) -> Candidates:
    """Tweets of author 7 under these ids."""
    appearance = np.array(ids, dtype=np.int64)
    author = np.full(len(ids), 7)
    return Candidates.of(
        appearance, author, appearance, author, np.zeros(len(ids), np.bool_), FOLLOWING, **columns
    )


def with_bodies(*bodies: TweetBody) -> Candidates:
    candidates = table(*(body.tweet_id for body in bodies), body=objects(bodies))
    return candidates.with_columns({"body_read": np.ones(len(bodies), dtype=np.bool_)})


def query(**fields: Any) -> FeedQuery:
    return FeedQuery(1, 2, NOW_MS, "0" * 32, **fields)


def kept(stage: Any, asked: FeedQuery, candidates: Candidates) -> list[int]:
    found: list[int] = candidates.original[stage.keep(asked, candidates)].tolist()
    return found


def test_of_two_appearances_of_an_original_the_newer_stays_whatever_the_order() -> None:
    columns = (np.array([50, 60, 40]), np.array([8, 9, 7]), np.array([10, 10, 40]), np.array([7, 7, 7]))
    candidates = Candidates.of(*columns, np.array([True, True, False]), FOLLOWING)
    for rows in ([0, 1, 2], [2, 1, 0]):
        shuffled = candidates.take(np.array(rows))
        assert set(shuffled.appearance[Duplicates().keep(query(), shuffled)].tolist()) == {60, 40}


def test_of_the_same_appearance_by_two_sources_the_first_source_stays() -> None:
    popular = table(10, 11).with_columns({"source": np.full(2, POPULAR, dtype=np.uint8)})
    both = joined([table(10), popular])
    assert both.source[Duplicates().keep(query(), both)].tolist() == [FOLLOWING, POPULAR]


def test_what_was_seen_is_out_for_as_long_as_the_policy_says() -> None:
    seen = np.array([(10, NOW_MS - HOUR_MS), (11, NOW_MS - 3 * HOUR_MS)], dtype=SEEN.form)
    assert kept(Seen(2.0), query(seen=seen), table(10, 11, 12)) == [11, 12]


def served(*records: tuple[int, int]) -> Any:
    rows = [(original, 7, (-1, -1), NOW_MS - minutes * 60_000) for original, minutes in records]
    return np.array(rows, dtype=SERVED.form)


def test_what_was_served_is_out_for_as_long_as_the_policy_says() -> None:
    lately = served((10, 5), (11, 50))
    assert kept(Served(30.0), query(served=lately), table(10, 11, 12)) == [11, 12]


def test_what_was_served_longest_ago_fills_a_page_that_lacks_some() -> None:
    lately = served((10, 5), (11, 20), (12, 10))
    assert kept(Served(30.0), query(served=lately), table(10, 11, 12, 13)) == [11, 13]
    assert kept(Served(30.0), query(served=lately), table(10, 11)) == [10, 11]


def test_old_tweets_are_out_and_those_of_unknown_age_stay() -> None:
    created = np.array([NOW_MS - 3 * HOUR_MS, NOW_MS - HOUR_MS, -1])
    assert kept(TooOld(2.0), query(), table(10, 11, 12, created_at=created)) == [11, 12]


def test_followers_only_tweets_stay_for_followers_and_for_their_author() -> None:
    home = HomeTimeline(1, np.empty(0, dtype=ENTRY_DTYPE), np.array([7]), False, 0)
    private = TweetBody(10, 7, "private", NOW_MS, visibility="followers")
    public = TweetBody(11, 7, "public", NOW_MS)
    assert kept(FollowersOnly(), query(), with_bodies(private, public)) == [11]
    assert kept(FollowersOnly(), query(home=home), with_bodies(private, public)) == [10, 11]
    own = FeedQuery(7, 2, NOW_MS, "0" * 32)
    assert kept(FollowersOnly(), own, with_bodies(private)) == [10]


def test_a_conversation_shows_its_tweet_or_else_its_newest_reply() -> None:
    root = TweetBody(10, 7, "root", NOW_MS)
    replies = [TweetBody(number, 7, "reply", NOW_MS, in_reply_to=10) for number in (20, 30)]
    stranger = [TweetBody(number, 7, "reply", NOW_MS, in_reply_to=99) for number in (40, 50)]
    assert kept(Conversations(), query(), with_bodies(root, *replies, *stranger)) == [10, 50]
    assert kept(Conversations(), query(), with_bodies(*replies)) == [30]


def test_the_light_ranker_keeps_its_best_and_never_what_it_gave_no_score() -> None:
    light = np.array([0.1, np.nan, 0.3, 0.2])
    assert kept(PrunedByLightRanker(2, 0.3), query(), table(10, 11, 12, 13, light=light)) == [12, 13]


def test_below_a_ranking_nothing_of_it_comes_again() -> None:
    assert kept(Ranked(), query(ranked=np.array([11])), table(10, 11)) == [10]
