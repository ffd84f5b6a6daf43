"""The log in PostgreSQL: every table equals a plain fold, whatever comes twice, late or at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.rows import rows_of, unfit_for_rows
from records import partitions
from records.connections import connect
from records.materialize import Materializer
from records.settings import RecordsSettings

pytestmark = pytest.mark.postgres

MONTH = partitions.WIDTH


@pytest.fixture
def tables(records: RecordsSettings, records_namespace: str) -> Iterator[Materializer]:
    made = Materializer(lambda: connect(records, records_namespace))
    yield made
    made.close()


@pytest.fixture
def rows(records: RecordsSettings, records_namespace: str) -> Any:
    """All rows that a query finds."""

    def read(query: str) -> list[tuple[Any, ...]]:
        with connect(records, records_namespace) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    return read


def tweet(
    tweet_id: int, author: int = 1, ts: int = 5, text: str | None = "words", **more: Any
) -> TweetCreated:
    return TweetCreated(
        event_id=f"t{tweet_id}:{ts}", ts=ts, tweet_id=tweet_id, author_id=1, text=text, **more
    )


def follow(follower: int, followee: int, active: bool, ts: int, event_id: str = "f") -> FollowChanged:
    return FollowChanged(event_id=event_id, ts=ts, follower_id=follower, followee_id=followee, active=active)


def test_every_field_of_a_tweet_is_kept_and_a_deletion_erases_it_for_good(
    tables: Materializer, rows: Any
) -> None:
    whole = tweet(
        10,
        text="a\0b \\N\t\n\u2028 #x",
        lang="de",
        place="Bremen",
        visibility="followers",
        in_reply_to=3,
        quote_of=4,
        hashtags=("x", "y,z"),
        mentions=(5, 6),
        media=("https://example.org/a",),
    )
    tables.write(rows_of([whole, Impression(**IMPRESSION)]))
    assert rows(
        "SELECT text, lang, place, visibility, in_reply_to, quote_of, hashtags, mentions, media, deleted"
        " FROM tweets"
    ) == [
        (
            "a\ufffdb \\N\t\n\u2028 #x",
            "de",
            "Bremen",
            "followers",
            3,
            4,
            ["x", "y,z"],
            [5, 6],
            ["https://example.org/a"],
            False,
        )
    ]
    gone = TweetDeleted(event_id="d", ts=1, tweet_id=10, author_id=1)
    for events in ([gone], [whole], [whole, gone], [tweet(10, ts=99)]):
        tables.write(rows_of(events))
        assert rows("SELECT text, hashtags, deleted, author_id FROM tweets") == [(None, [], True, 1)]


def test_a_deletion_that_comes_before_its_tweet_stands(tables: Materializer, rows: Any) -> None:
    tables.write(rows_of([TweetDeleted(event_id="d", ts=9, tweet_id=10, author_id=1)]))
    tables.write(rows_of([tweet(10, ts=5)]))
    assert rows("SELECT text, deleted FROM tweets") == [(None, True)]


def test_an_older_version_never_replaces_a_newer_one_and_equal_times_go_by_event_id(
    tables: Materializer, rows: Any
) -> None:
    tables.write(rows_of([follow(1, 2, True, ts=5, event_id="b")]))
    tables.write(rows_of([follow(1, 2, False, ts=4, event_id="z"), follow(1, 2, False, ts=5, event_id="a")]))
    assert rows("SELECT active, event_id FROM follows") == [(True, "b")]
    tables.write(rows_of([follow(1, 2, False, ts=5, event_id="c"), follow(1, 2, True, ts=3)]))
    assert rows("SELECT active, event_id FROM follows") == [(False, "c")]


@pytest.mark.parametrize("seed", range(4))
def test_the_tables_equal_a_fold_of_the_log_in_any_order_and_with_repeats(
    tables: Materializer, rows: Any, seed: int
) -> None:
    rng = random.Random(seed)
    log = list(random_log(rng))
    delivered = log + rng.choices(log, k=len(log) // 3)
    rng.shuffle(delivered)
    while delivered:
        size = rng.randint(1, 40)
        tables.write(rows_of(delivered[:size]))
        delivered = delivered[size:]
    follows, likes, retweets, tweets, deleted = folded(log)
    assert {
        row[:2]: row[2] for row in rows("SELECT follower_id, followee_id, active FROM follows")
    } == follows
    assert {row[:2]: row[2] for row in rows("SELECT user_id, tweet_id, active FROM likes")} == likes
    assert dict(rows("SELECT retweet_id, active FROM retweets")) == retweets
    assert dict(rows("SELECT tweet_id, text FROM tweets WHERE NOT deleted")) == tweets
    assert {row[0] for row in rows("SELECT tweet_id FROM tweets WHERE deleted")} == deleted


def test_rows_go_to_the_partition_of_their_time_whoever_makes_it_first(
    records: RecordsSettings, records_namespace: str, rows: Any
) -> None:
    failures: list[Exception] = []

    def write(worker: int) -> None:
        tables = Materializer(lambda: connect(records, records_namespace))
        try:
            for turn in range(5):
                ids = [month * MONTH + worker * 100 + turn for month in (0, 1, 7, 195)]
                tables.write(rows_of([tweet(tweet_id + 1) for tweet_id in ids]))
                tables.write(rows_of([follow(1, followee, True, turn) for followee in range(50)]))
        except psycopg.Error as error:
            failures.append(error)
        finally:
            tables.close()

    workers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    counted = rows("SELECT tableoid::regclass::text, count(*) FROM tweets GROUP BY 1 ORDER BY 1")
    assert counted == [(f"tweets_p{month:04d}", 20) for month in (0, 1, 7, 195)]


def test_a_lost_connection_is_replaced_and_its_batch_left_nothing(
    tables: Materializer, records: RecordsSettings, records_namespace: str, rows: Any
) -> None:
    tables.write(rows_of([tweet(1)]))
    with connect(records, records_namespace) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'tideline' AND pid <> pg_backend_pid()"
        )
    with pytest.raises(psycopg.OperationalError):
        tables.write(rows_of([tweet(2)]))
    tables.write(rows_of([tweet(2), tweet(3)]))
    assert [row[0] for row in rows("SELECT tweet_id FROM tweets ORDER BY 1")] == [1, 2, 3]


def test_what_passes_64_bits_is_told_before_it_reaches_a_table() -> None:
    assert unfit_for_rows(tweet(1)) is None
    for event in (tweet(1, in_reply_to=1 << 63), tweet(1, mentions=(1 << 64,)), tweet(1, ts=1 << 63)):
        assert unfit_for_rows(event) == "ids and times are 64-bit integers"
    assert unfit_for_rows(follow(1, 2, True, 1, "a\0b")) == "event_id holds U+0000"


IMPRESSION: dict[str, Any] = {
    "event_id": "i",
    "ts": 1,
    "request_id": "q",
    "user_id": 1,
    "tweet_id": 1,
    "author_id": 1,
    "position": 0,
    "source": "following",
    "rung": "full",
}


def random_log(rng: random.Random) -> Iterator[AnyEvent]:
    for number in range(300):
        ts, event_id = rng.randint(1, 60), f"e{number}"
        user, other = rng.randint(1, 6), rng.randint(1, 6)
        tweet_id = rng.randint(1, 12) * MONTH // 4
        match rng.randrange(5):
            case 0:
                yield follow(user, other, rng.random() < 0.5, ts, event_id)
            case 1:
                yield LikeChanged(
                    event_id=event_id,
                    ts=ts,
                    user_id=user,
                    tweet_id=tweet_id,
                    author_id=other,
                    active=rng.random() < 0.5,
                )
            case 2:
                yield RetweetChanged(
                    event_id=event_id,
                    ts=ts,
                    retweet_id=tweet_id + 1,
                    user_id=user,
                    tweet_id=tweet_id,
                    author_id=other,
                    active=rng.random() < 0.5,
                )
            case 3:
                yield tweet(tweet_id, ts=ts, text=f"text {number}")
            case 4 if rng.random() < 0.2:
                yield TweetDeleted(event_id=event_id, ts=ts, tweet_id=tweet_id, author_id=1)
    yield AccountRegistered(event_id="a", ts=1, user_id=1, handle="ann", display_name="Ann", created_at=1)


def folded(log: Sequence[AnyEvent]) -> tuple[Any, ...]:
    """Follows, likes, retweets and tweets by their last event, and which tweets are deleted."""
    follows: dict[tuple[int, int], bool] = {}
    likes: dict[tuple[int, int], bool] = {}
    retweets: dict[int, bool] = {}
    tweets: dict[int, str | None] = {}
    deleted: set[int] = set()
    for event in sorted(log, key=lambda event: event.order):
        match event:
            case FollowChanged():
                follows[event.follower_id, event.followee_id] = event.active
            case LikeChanged():
                likes[event.user_id, event.tweet_id] = event.active
            case RetweetChanged():
                retweets[event.retweet_id] = event.active
            case TweetCreated():
                tweets[event.tweet_id] = event.text
            case TweetDeleted():
                deleted.add(event.tweet_id)
    return follows, likes, retweets, {i: t for i, t in tweets.items() if i not in deleted}, deleted
