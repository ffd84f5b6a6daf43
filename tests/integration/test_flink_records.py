"""The records job on the embedded mini cluster, against a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ingestion.events import (
    AccountRegistered,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
    encode,
)
from records.connections import connect
from records.migrate import migrate
from records.settings import RecordsSettings

pytestmark = [pytest.mark.flink, pytest.mark.postgres]


def test_the_log_is_in_the_tables_and_what_fits_none_is_a_dead_letter(
    flink_environment: Callable[[], Any], postgres: str
) -> None:
    from pyflink.common import Row

    from pipelines.stream import records
    from pipelines.stream.connectors import BATCH

    def tweet(tweet_id: int, **more: Any) -> TweetCreated:
        return TweetCreated(
            event_id=f"t{tweet_id}", ts=tweet_id, tweet_id=tweet_id, author_id=1, text="words", **more
        )

    edge: dict[str, Any] = {"ts": 3, "user_id": 2, "tweet_id": 100, "author_id": 1, "active": True}
    settings, namespace = RecordsSettings(dsn=postgres), "flink-records"
    migrate(settings, namespace)
    values = [
        encode(event)
        for event in (
            AccountRegistered(event_id="a", ts=1, user_id=1, handle="ada", display_name="Ada", created_at=1),
            FollowChanged(event_id="f1", ts=1, follower_id=2, followee_id=1, active=True),
            FollowChanged(event_id="f2", ts=2, follower_id=2, followee_id=1, active=False),
            tweet(100),
            TweetDeleted(event_id="d", ts=200, tweet_id=101, author_id=1),
            tweet(101),
            RetweetChanged(event_id="r", retweet_id=102, **edge),
            LikeChanged(event_id="l", **edge),
            tweet(103, in_reply_to=1 << 63),
        )
    ]
    values.append(b"not an event")
    batches = [
        Row(0, "events", part, [0] * len(part), list(range(start, start + len(part))))
        for start in (0, 4, 8)
        if (part := values[start : start + 4])
    ]
    env = flink_environment()
    stream = env.from_collection([*batches, batches[1], batches[0]], type_info=BATCH)
    built = records.build(stream, records.RecordsAddress(settings, namespace))
    with built.execute_and_collect() as letters:
        assert sorted(json.loads(letter)["offset"] for letter in letters) == [8, 9]
    with connect(settings, namespace) as connection:
        for query, expected in {
            "SELECT handle FROM accounts": [("ada",)],
            "SELECT follower_id, followee_id, active FROM follows": [(2, 1, False)],
            "SELECT tweet_id, text, deleted FROM tweets ORDER BY 1": [
                (100, "words", False),
                (101, None, True),
            ],
            "SELECT retweet_id, user_id, tweet_id, active FROM retweets": [(102, 2, 100, True)],
            "SELECT user_id, tweet_id, active FROM likes": [(2, 100, True)],
        }.items():
            assert connection.execute(query).fetchall() == expected
