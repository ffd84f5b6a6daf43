"""What the ranking service reads and keeps, over the in-memory store and a real Valkey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.names import MODEL_INPUT
from serving.experiments.assignment import Treatment
from serving.feed.candidates import FOLLOWING, Candidates, objects
from serving.feed.policy import default_policy
from serving.feed.query import FeedQuery
from serving.feed.snapshot import FEATURE_PLACES, KeptRanking, SnapshotGoneError, Snapshots, snapshot_of
from serving.reads import Reads
from timelines import commands
from timelines.bodies import (
    AccountCard,
    AccountCounts,
    Trend,
    TrendList,
    TweetBody,
    TweetCounts,
    tombstone,
)

NOW_MS = 1_700_000_000_123
TREATMENT = Treatment(default_policy(), "fewer-topics:steep")


def reading(store: Any, ask: Any) -> Any:
    return store.run(lambda client: ask(Reads(client, store.keys)))


def test_bodies_come_in_the_order_asked_for_from_every_partition(store: Any) -> None:
    for tweet_id in (11, 12, 13, 14, 15):
        store.write(commands.put_body, TweetBody(tweet_id, 7, f"text {tweet_id}", NOW_MS))
    store.write(commands.put_body, tombstone(13, 7))
    found = reading(store, lambda reads: reads.bodies([15, 99, 11, 13, 12, 15]))
    assert [None if body is None else (body.tweet_id, body.text, body.deleted) for body in found] == [
        (15, "text 15", False),
        None,
        (11, "text 11", False),
        (13, None, True),
        (12, "text 12", False),
        (15, "text 15", False),
    ]


def test_a_body_or_card_that_cannot_be_read_is_as_good_as_absent(store: Any) -> None:
    for number in (11, 12):
        store.write(commands.put_body, TweetBody(number, 7, f"text {number}", NOW_MS))
        store.write(commands.put_card, AccountCard(number, f"h{number}", f"N{number}", NOW_MS), 1)
    store.client.set(store.keys.tweet(11), b'{"tweet_id": "eleven"}')
    store.client.set(store.keys.account(11), b"12345678{")
    found = reading(store, lambda reads: reads.bodies([11, 12]))
    assert [body and body.text for body in found] == [None, "text 12"]
    assert set(reading(store, lambda reads: reads.users(1, [11, 12]))) == {12}


def test_counts_trends_and_words_that_cannot_be_read_are_as_good_as_absent(store: Any) -> None:
    for number in (11, 12):
        store.write(commands.put_card, AccountCard(number, f"h{number}", f"N{number}", NOW_MS), 1)
        store.write(commands.set_tweet_counts, number, TweetCounts(1, 2, 3, 4), 1)
    broken = (store.keys.counts(11), store.keys.account_counts(11), store.keys.trends("world", "1h"))
    for key in broken:
        store.client.set(key, b"12345678{")
    likes = [counts["likes"] for counts in reading(store, lambda reads: reads.tweet_counts([11, 12]))]
    assert likes == [0, 1]
    assert reading(store, lambda reads: reads.users(1, [11]))[11]["counts"]["followers"] == 0
    assert reading(store, lambda reads: reads.trends("world", "1h", 2))["items"] == []
    assert reading(store, lambda reads: reads.trending_terms(["world"], "1h")) == {}
    store.client.set(store.keys.account(11), b"12345678{")
    assert reading(store, lambda reads: reads.place_of(11)) is None
    store.client.set(store.keys.muted_words(1), b"12345678{")
    assert reading(store, lambda reads: reads.restrictions(1)) == (frozenset(), ())


def test_counts_are_zero_until_they_are_known(store: Any) -> None:
    store.write(commands.set_tweet_counts, 11, TweetCounts(1, 2, 3, 4), 1)
    found = reading(store, lambda reads: reads.tweet_counts([10, 11]))
    assert [list(counts.values()) for counts in found] == [[0, 0, 0, 0], [1, 2, 3, 4]]


def test_a_taken_back_like_does_not_show(store: Any) -> None:
    store.write(commands.set_like, 1, 11, 10, True)
    store.write(commands.set_like, 1, 12, 10, True)
    store.write(commands.set_like, 1, 12, 11, False)
    store.write(commands.set_retweet, 1, 12, 11, True)
    assert reading(store, lambda reads: reads.tweet_viewers(1, [11, 12])) == [
        {"liked": True, "retweeted": False},
        {"liked": False, "retweeted": True},
    ]


def test_a_profile_says_how_the_reader_stands_to_it(store: Any) -> None:
    for user in (7, 8):
        store.write(commands.put_card, AccountCard(user, f"h{user}", f"N{user}", NOW_MS, "Bremen"), 1)
    store.write(commands.set_account_counts, 7, AccountCounts(5, 6, 7), 1)
    store.follow(1, 7)
    store.follow(8, 1)
    users = reading(store, lambda reads: reads.users(1, [7, 8, 9]))
    assert set(users) == {7, 8}
    assert users[7] == {
        "id": "7",
        "handle": "h7",
        "display_name": "N7",
        "place": "Bremen",
        "created_at": "2023-11-14T22:13:20.123Z",
        "counts": {"followers": 5, "following": 6, "tweets": 7},
        "viewer": {"follows": True, "followed_by": False, "muted": False, "blocked": False},
    }
    assert users[8]["viewer"]["followed_by"] is True


def test_a_followers_only_tweet_is_for_its_author_and_followers(store: Any) -> None:
    store.write(commands.put_card, AccountCard(7, "h7", "N7", NOW_MS), 1)
    store.write(commands.put_body, TweetBody(11, 7, "quiet", NOW_MS, visibility="followers"))
    assert reading(store, lambda reads: reads.tweet(1, 11)) is None
    assert reading(store, lambda reads: reads.tweet(7, 11))["text"] == "quiet"
    store.follow(1, 7)
    assert reading(store, lambda reads: reads.tweet(1, 11))["text"] == "quiet"


def test_a_deleted_tweet_reads_as_none(store: Any) -> None:
    store.write(commands.put_body, tombstone(11, 7))
    assert reading(store, lambda reads: reads.tweet(7, 11)) is None


def test_trends_are_cut_to_the_limit_and_empty_where_there_are_none(store: Any) -> None:
    items = tuple(Trend(f"#t{rank}", rank, 9, 3, 1.5, NOW_MS) for rank in (1, 2, 3))
    store.write(commands.put_trends, "world", "1h", TrendList(NOW_MS, items))
    found = reading(store, lambda reads: reads.trends("world", "1h", 2))
    assert [trend["term"] for trend in found["items"]] == ["#t1", "#t2"]
    assert found["as_of"] == "2023-11-14T22:13:20.123Z"
    assert reading(store, lambda reads: reads.trends("moon", "1h", 2)) == {
        "as_of": None,
        "place": "moon",
        "items": [],
    }


def ranked(count: int) -> Candidates:
    ids = np.arange(100, 100 + count)
    author = np.full(count, 7)
    score = 1.0 / np.arange(1, count + 1)
    score[0] = np.nan
    return Candidates.of(
        ids,
        author,
        ids,
        author,
        np.zeros(count, dtype=np.bool_),
        FOLLOWING,
        retweeters=objects([(8, 9)] * count),
        features=np.arange(count * len(MODEL_INPUT), dtype=np.float32).reshape(count, -1),
        score=score,
        probabilities=np.full((count, 2), 0.5),
    )


def test_a_kept_ranking_reads_back_as_it_was_from_any_offset(store: Any) -> None:
    before = ranked(FEATURE_PLACES + 2)

    async def keep_and_read(client: Any) -> Candidates:
        snapshots = Snapshots(client, store.keys, 60)
        await snapshots.keep(1, "ab" * 16, snapshot_of("ranker@1", TREATMENT, NOW_MS, 500, before))
        snapshot = await snapshots.read(1, "ab" * 16)
        assert (snapshot.model, snapshot.as_of_ms, snapshot.candidates) == ("ranker@1", NOW_MS, 500)
        query = FeedQuery(1, 10, NOW_MS, "ab" * 16, offset=FEATURE_PLACES - 1)
        return await KeptRanking(snapshot).fetch(query)

    after = store.run(keep_and_read)
    expected = before.take(np.arange(FEATURE_PLACES - 1, FEATURE_PLACES + 2))
    for column in ("appearance", "author", "original", "original_author", "is_retweet", "source"):
        np.testing.assert_array_equal(getattr(after, column), getattr(expected, column))
    np.testing.assert_array_equal(after.score, expected.score)
    np.testing.assert_array_equal(after.probabilities, expected.probabilities)
    assert after.rank.tolist() == [FEATURE_PLACES - 1, FEATURE_PLACES, FEATURE_PLACES + 1]
    assert after.retweeters.tolist() == [(8, 9)] * 3
    np.testing.assert_array_equal(after.features[0], expected.features[0])
    assert np.isnan(after.features[1:]).all()


def test_a_ranking_is_kept_for_its_reader_and_for_its_time_which_begins_anew_with_each_page(
    store: Any,
) -> None:
    async def scenario(client: Any) -> None:
        key = store.keys.key("ranking", 1, int("ab" * 16, 16))
        await Snapshots(client, store.keys, 60).keep(
            1, "ab" * 16, snapshot_of("ranker@1", TREATMENT, NOW_MS, 500, ranked(1))
        )
        assert 0 < await client.pttl(key) <= 60_000
        snapshots = Snapshots(client, store.keys, 3600)
        await snapshots.read(1, "ab" * 16)
        assert 60_000 < await client.pttl(key) <= 3_600_000
        with pytest.raises(SnapshotGoneError):
            await snapshots.read(2, "ab" * 16)

    store.run(scenario)


def test_of_each_hidden_author_the_newest_time_is_read_whatever_the_order_of_arrival(store: Any) -> None:
    assert reading(store, lambda reads: reads.hidden_authors(1)) == {}
    for author, ts in ((7, NOW_MS), (7, NOW_MS - 5), (8, 3), (8, 4), (8, 4)):
        store.write(commands.set_hidden_author, 1, author, ts)
    store.write(commands.set_hidden_author, 2, 9, NOW_MS)
    assert reading(store, lambda reads: reads.hidden_authors(1)) == {7: NOW_MS, 8: 4}


def test_whom_and_what_a_reader_keeps_out_is_read_in_both_directions_of_a_block(store: Any) -> None:
    for user in (7, 8, 9):
        store.write(commands.put_card, AccountCard(user, f"h{user}", f"N{user}", NOW_MS), 1)
    assert reading(store, lambda reads: reads.restrictions(1)) == (frozenset(), ())
    store.write(commands.set_muted, 1, 7, 5, True)
    store.write(commands.set_blocked, 1, 8, 5, True)
    store.write(commands.set_blocked, 9, 1, 5, True)
    store.write(commands.set_muted, 1, 6, 5, True)
    store.write(commands.set_muted, 1, 6, 6, False)
    store.write(commands.put_muted_words, 1, ["late"], 6)
    store.write(commands.put_muted_words, 1, ["early"], 5)
    assert reading(store, lambda reads: reads.restrictions(1)) == (frozenset({7, 8, 9}), ("late",))
    assert reading(store, lambda reads: reads.blocked(1)) == frozenset({8, 9})
    users = reading(store, lambda reads: reads.users(1, [7, 8, 9]))
    assert [(users[u]["viewer"]["muted"], users[u]["viewer"]["blocked"]) for u in (7, 8, 9)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
