"""The engagement job on the embedded mini cluster: exact counts and feature rows, whatever the order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import redis

from features.aggregates import EngagementFold
from features.names import TWEET_ENGAGEMENT
from features.rows import row_key, unpack_rows
from ingestion.events import (
    ClockAdvanced,
    Event,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
    encode,
)
from ingestion.topics import ENGAGEMENTS, FOLLOWS, TWEETS, Topic
from pipelines.settings import FlinkSettings
from timelines.bodies import AccountCounts, TweetCounts, decode_account_counts, decode_tweet_counts
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

NAMESPACE = "engagementtest"
HOUR = 3_600_000
MINUTE = 60_000
START = 1_350_000_000_000 // HOUR * HOUR
END = START + 10 * HOUR
TWEET_IDS = (2**60 + 1, 2**60 + 2)
KEYS = Keyspace(NAMESPACE, RedisSettings().partitions)


def like(user: int, tweet: int, at: int, active: bool, number: int) -> LikeChanged:
    return LikeChanged(
        event_id=f"l{number}", ts=at, user_id=user, tweet_id=tweet, author_id=900, active=active
    )


def random_likes() -> list[LikeChanged]:
    """Likes given, taken back and given again by ten users, some at the same millisecond, in any order."""
    dice = random.Random(7)
    changes = [
        like(
            dice.randrange(10),
            dice.choice(TWEET_IDS),
            END - dice.randrange(30) * 5 * MINUTE,
            dice.random() < 0.6,
            i,
        )
        for i in range(200)
    ]
    return changes + dice.sample(changes, 50)


def post(tweet: int, author: int, at: int, reply_to: int | None = None, quote: int | None = None) -> Event:
    return TweetCreated(
        event_id=f"p{tweet}",
        ts=at,
        tweet_id=tweet,
        author_id=author,
        text="",
        in_reply_to=reply_to,
        quote_of=quote,
    )


LIKES = random_likes()
LOG: dict[Topic, list[Event]] = {
    ENGAGEMENTS: [*LIKES, like(5, 77, START, True, 1000), ClockAdvanced(event_id="clock", ts=END)],
    TWEETS: [
        # The deletion of the reply 12 stands before the reply itself.
        TweetDeleted(event_id="d12", ts=START + 2, tweet_id=12, author_id=901),
        post(10, 900, START),
        post(11, 901, START + 1, reply_to=10),
        post(12, 901, START + 1, reply_to=10),
        post(13, 902, END - 3 * MINUTE, reply_to=10, quote=11),
        RetweetChanged(
            event_id="r1", ts=START + 5, retweet_id=20, user_id=902, tweet_id=10, author_id=900, active=True
        ),
        RetweetChanged(
            event_id="r2", ts=START + 9, retweet_id=20, user_id=902, tweet_id=10, author_id=900, active=False
        ),
        RetweetChanged(
            event_id="r3", ts=START + 7, retweet_id=21, user_id=901, tweet_id=10, author_id=900, active=True
        ),
    ],
    FOLLOWS: [
        FollowChanged(event_id="f1", ts=START, follower_id=901, followee_id=900, active=True),
        FollowChanged(event_id="f2", ts=START, follower_id=902, followee_id=900, active=True),
        FollowChanged(event_id="f3", ts=START + 1, follower_id=902, followee_id=900, active=False),
    ],
}


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any], valkey: str
) -> redis.Redis:
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import engagement, sql_tables
    from pipelines.stream.store import StoreAddress

    folder = tmp_path_factory.mktemp("engagement")
    env = flink_environment()
    t_env = StreamTableEnvironment.create(env)
    for topic, events in LOG.items():
        (folder / topic.name).mkdir()
        (folder / topic.name / "log.json").write_bytes(b"\n".join([b"no event", *map(encode, events)]))
        source = {"connector": "filesystem", "path": str(folder / topic.name), **sql_tables.json_format()}
        sql_tables.create_event_table(t_env, topic, source)
    address = StoreAddress(RedisSettings(url=valkey), TimelineSettings(), NAMESPACE)
    engagement.build(t_env, address, FlinkSettings()).print()
    env.execute("engagement test")
    return redis.Redis.from_url(valkey)


def tweet_counts(store: redis.Redis, tweet: int) -> TweetCounts:
    return decode_tweet_counts(store.get(KEYS.counts(tweet)))


def account_counts(store: redis.Redis, user: int) -> AccountCounts:
    return decode_account_counts(store.get(KEYS.account_counts(user)))


def feature_row(store: redis.Redis, tweet: int) -> tuple[list[float], int]:
    matrix, moments = unpack_rows(TWEET_ENGAGEMENT, [store.get(row_key(KEYS, TWEET_ENGAGEMENT, [tweet]))])
    return matrix[0].tolist(), int(moments[0])


@pytest.mark.parametrize("tweet", TWEET_IDS)
def test_the_job_and_the_pure_fold_agree_on_likes_given_and_taken_back(
    store: redis.Redis, tweet: int
) -> None:
    fold = EngagementFold().apply_all(
        ("like", change.user_id, change.ts, change.event_id, change.active)
        for change in LIKES
        if change.tweet_id == tweet
    )
    expected = fold.engagement()
    assert tweet_counts(store, tweet) == TweetCounts(likes=expected.totals().likes)
    row, moment = feature_row(store, tweet)
    assert row == [expected.totals().likes, 0, 0, 0, expected.last_hour(END)]
    assert expected.last_hour(END) > 0
    assert moment == END


def test_deleted_replies_and_retweets_taken_back_do_not_count(store: redis.Redis) -> None:
    assert tweet_counts(store, 10) == TweetCounts(likes=0, retweets=1, replies=2, quotes=0)
    assert tweet_counts(store, 11) == TweetCounts(quotes=1)


def test_the_last_hour_goes_down_when_event_time_moves_on(store: redis.Redis) -> None:
    row, moment = feature_row(store, 77)
    assert row == [1, 0, 0, 0, 0]
    assert moment > START + HOUR
    row, _ = feature_row(store, 10)
    assert row == [0, 1, 2, 0, 1]


def test_accounts_have_followers_followees_and_posts(store: redis.Redis) -> None:
    assert account_counts(store, 900) == AccountCounts(followers=1, following=0, tweets=1)
    # One post and one retweet stand; the other post was deleted.
    assert account_counts(store, 901) == AccountCounts(followers=0, following=1, tweets=2)
    assert account_counts(store, 902) == AccountCounts(followers=0, following=0, tweets=1)


def test_a_tweet_nobody_engaged_with_has_no_row(store: redis.Redis) -> None:
    assert store.get(row_key(KEYS, TWEET_ENGAGEMENT, [13])) is None
    assert np.isnan(feature_row(store, 13)[0]).all()
