"""Datasets: files are checked before they are read, and events come in order with ids that stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.clock import no_shift, shift_to_end, span
from ingestion.datasets.dataset import Dataset, DatasetError
from ingestion.datasets.public_stream import SCHEMA
from ingestion.datasets.registry import DATASETS, open_dataset
from ingestion.datasets.retweet_cascade import RetweetCascade
from ingestion.events import (
    AccountRegistered,
    Event,
    FollowChanged,
    Impression,
    RetweetChanged,
    TweetCreated,
)
from ingestion.snowflake import snowflake

T = 1_341_100_000
VIEWER, AUTHOR, OTHER, QUIET = 1, 2, 3, 4


def write(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def cascade_files(tmp_path: Path) -> Path:
    folder = tmp_path / "retweet_cascade"
    rows = [(AUTHOR, OTHER, T, "MT"), (OTHER, AUTHOR, T + 4, "MT"), (VIEWER, AUTHOR, T + 10, "RT")]
    users, targets, times, kinds = zip(*rows, strict=True)
    write(folder / "activity.parquet", {"user": users, "target": targets, "ts": times, "kind": kinds})
    write(
        folder / "follows.parquet",
        {"follower": [VIEWER, VIEWER, VIEWER, VIEWER], "followee": [AUTHOR, OTHER, QUIET, VIEWER]},
    )
    write(
        folder / "candidate_lists.parquet",
        {
            "impression_id": [0, 0, 0],
            "viewer": [VIEWER] * 3,
            "ts": [T + 10] * 3,
            "author": [AUTHOR, OTHER, QUIET],
            "author_last_seen_ts": [T, T + 4, T + 1],
            "engaged": [1, 0, 0],
            "kind": ["RT", None, None],
        },
    )
    return tmp_path


def every(dataset: Dataset) -> list[Event]:
    return list(dataset.events(no_shift(dataset.recordings)))


def test_a_missing_column_is_named_before_anything_is_read(cascade_files: Path) -> None:
    path = cascade_files / "retweet_cascade" / "activity.parquet"
    pq.write_table(pq.read_table(path).drop(["kind", "ts"]), path)
    with pytest.raises(DatasetError, match=r"activity\.parquet lacks the columns ts, kind\.$"):
        open_dataset("retweet_cascade", cascade_files)


def rewritten(path: Path, column: str, values: pa.Array) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), path)


@pytest.mark.parametrize(
    ("file", "column", "values", "sentence"),
    [
        ("activity", "ts", pa.array([1.0, 2.0, 3.0]), "The column ts .* holds double, where whole numbers"),
        ("activity", "user", pa.array([1, None, 3]), "The column user .* holds 1 nulls"),
        ("activity", "kind", pa.array(["RT", "XX", None]), "The column kind .* holds 1 nulls"),
        ("activity", "kind", pa.array(["RT", "XX", "MT"]), "holds XX, where RT, RE, MT belong"),
        ("follows", "followee", pa.array(["1", "2", "3", "4"]), "holds string, where whole numbers"),
        ("candidate_lists", "author", pa.array([[1], [2], [3]]), "holds list<.*>, where whole numbers"),
    ],
)
def test_columns_of_something_else_are_named(
    cascade_files: Path, file: str, column: str, values: pa.Array, sentence: str
) -> None:
    rewritten(cascade_files / "retweet_cascade" / f"{file}.parquet", column, values)
    with pytest.raises(DatasetError, match=sentence):
        open_dataset("retweet_cascade", cascade_files)


def test_a_file_without_rows_is_named(cascade_files: Path) -> None:
    path = cascade_files / "retweet_cascade" / "activity.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DatasetError, match=r"activity\.parquet holds no rows\.$"):
        open_dataset("retweet_cascade", cascade_files)


def test_a_window_in_which_nothing_was_streamed_is_named(stream_files: Path) -> None:
    path = stream_files / "public_stream" / "tweets.parquet"
    rewritten(path, "record", pa.array(["stream", "stream", "stream", "referenced"]))
    with pytest.raises(DatasetError, match="record stream in the windows 2016"):
        open_dataset("public_stream", stream_files)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in DATASETS:
        with pytest.raises(DatasetError, match=r"^The dataset file .* does not exist\.$"):
            open_dataset(name, tmp_path)


def test_a_file_that_is_not_parquet_is_named(cascade_files: Path) -> None:
    (cascade_files / "retweet_cascade" / "follows.parquet").write_text("follower,followee")
    with pytest.raises(DatasetError, match=r"follows\.parquet is not a readable Parquet file\.$"):
        open_dataset("retweet_cascade", cascade_files)


def test_an_unknown_dataset_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="public_stream, retweet_cascade, synthetic"):
        open_dataset("tweets", tmp_path)


def test_a_list_becomes_impressions_of_what_its_authors_had_written_newest_first(
    cascade_files: Path,
) -> None:
    shown = [event for event in every(RetweetCascade(cascade_files)) if isinstance(event, Impression)]
    assert [(item.position, item.author_id) for item in shown] == [(0, OTHER), (1, AUTHOR)]
    assert {item.rung for item in shown} == {"recorded"}


def test_the_author_acted_on_is_shown_with_the_tweet_that_the_act_refers_to(cascade_files: Path) -> None:
    events = every(RetweetCascade(cascade_files))
    (act,) = (event for event in events if isinstance(event, RetweetChanged))
    answered = [event for event in events if isinstance(event, Impression) and event.tweet_id == act.tweet_id]
    assert [(item.user_id, item.author_id) for item in answered] == [(act.user_id, act.author_id)]
    assert answered[0].ts < act.ts


def test_everybody_seen_is_registered_and_nobody_follows_themselves(cascade_files: Path) -> None:
    events = every(RetweetCascade(cascade_files))
    accounts = [event for event in events if isinstance(event, AccountRegistered)]
    assert {event.user_id: event.handle for event in accounts} == {1: "u1", 2: "u2", 3: "u3", 4: "u4"}
    follows = [event for event in events if isinstance(event, FollowChanged)]
    assert {event.followee_id for event in follows} == {AUTHOR, OTHER, QUIET}


def test_texts_that_the_recording_lacks_are_said_to_be_missing(cascade_files: Path) -> None:
    tweets = [event for event in every(RetweetCascade(cascade_files)) if isinstance(event, TweetCreated)]
    assert {tweet.text for tweet in tweets} == {None}


def test_accounts_and_follows_come_first_and_everything_in_time_order(cascade_files: Path) -> None:
    events = every(RetweetCascade(cascade_files))
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    kinds = [type(event) for event in events]
    assert kinds[:4] == [AccountRegistered] * 4
    assert kinds[4:7] == [FollowChanged] * 3


def test_a_replay_at_another_time_gives_the_same_ids(cascade_files: Path) -> None:
    dataset = RetweetCascade(cascade_files)
    shifted = list(dataset.events(shift_to_end(dataset.recordings, 1_900_000_000_000)))
    recorded = every(dataset)
    assert [event.event_id for event in shifted] == [event.event_id for event in recorded]
    assert shifted[-1].ts == 1_900_000_000_000
    assert {new.ts - old.ts for new, old in zip(shifted, recorded, strict=True)} == {
        1_900_000_000_000 - (T + 10) * 1000
    }


def test_the_size_is_the_number_of_events(cascade_files: Path) -> None:
    dataset = RetweetCascade(cascade_files)
    assert dataset.size == len(every(dataset))


@pytest.fixture
def stream_files(tmp_path: Path) -> Path:
    first, second = 1_376_132_400_000, 1_452_065_400_000
    base: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    base |= {"record": "stream", "text": "hi", "hashtags": ["tag"], "mention_ids": [7, 7], "handle": "h"}
    old = base | {
        "window": "2013",
        "record": "referenced",
        "tweet_id": snowflake(first - 9_000_500),
        "ms": first - 9_000_500,
        "user_id": 5,
    }
    rows = [
        old,
        base
        | {"window": "2013", "tweet_id": snowflake(first + 700), "ms": first, "user_id": 6}
        | {"retweet_of": old["tweet_id"], "retweet_of_user": 5},
        base
        | {"window": "2013", "tweet_id": snowflake(first + 3000), "ms": first + 3000, "user_id": 6}
        | {"retweet_of": snowflake(first - 77_000), "retweet_of_user": 9},
        base
        | {"window": "2016", "tweet_id": snowflake(second), "ms": second, "user_id": 8}
        | {"reply_to_tweet_id": 1, "reply_to_user_id": 5, "user_time_zone": "Tokyo"},
    ]
    for row in rows:
        row["created_at"] = row["user_created_at"] = row["ms"] // 1000 * 1000
    moments = pa.timestamp("ms", tz="UTC")
    columns = {
        field.name: pa.array(
            [row[field.name] for row in rows], moments if pa.types.is_timestamp(field.type) else field.type
        )
        for field in SCHEMA
    }
    write(tmp_path / "public_stream" / "tweets.parquet", columns)
    return tmp_path


def test_each_window_of_the_stream_ends_now_on_its_own(stream_files: Path) -> None:
    dataset = open_dataset("public_stream", stream_files)
    end = 1_900_000_000_000
    shift = shift_to_end(dataset.recordings, end)
    assert len(set(shift.values())) == 2
    last = {event.ts for event in dataset.events(shift) if event.ts == end}
    assert last == {end}
    assert span(dataset.recordings, shift)[1] == end


def test_a_streams_tweets_keep_their_ids_and_take_their_millisecond_from_them(stream_files: Path) -> None:
    events = every(open_dataset("public_stream", stream_files))
    retweets = [event for event in events if isinstance(event, RetweetChanged)]
    assert [(event.retweet_id, event.ts) for event in retweets] == [
        (snowflake(1_376_132_400_700), 1_376_132_400_700),
        (snowflake(1_376_132_403_000), 1_376_132_403_000),
    ]


def test_a_retweeted_tweet_comes_before_its_retweet_even_where_the_stream_lacks_it(
    stream_files: Path,
) -> None:
    born: dict[int, TweetCreated] = {}
    for event in every(open_dataset("public_stream", stream_files)):
        if isinstance(event, TweetCreated):
            born[event.tweet_id] = event
        elif isinstance(event, RetweetChanged):
            assert born[event.tweet_id].author_id == event.author_id
    lacking = born[snowflake(1_376_132_400_000 - 77_000)]
    assert (lacking.text, lacking.ts) == (None, 1_376_132_400_000 - 77_000)


def test_who_retweets_or_replies_to_an_account_is_taken_to_follow_it(stream_files: Path) -> None:
    events = every(open_dataset("public_stream", stream_files))
    follows = [event for event in events if isinstance(event, FollowChanged)]
    assert {(event.follower_id, event.followee_id) for event in follows} == {(6, 5), (6, 9), (8, 5)}


def test_an_account_is_registered_once_and_before_it_writes(stream_files: Path) -> None:
    events = every(open_dataset("public_stream", stream_files))
    counts = Counter(event.user_id for event in events if isinstance(event, AccountRegistered))
    assert counts == {5: 1, 6: 1, 8: 1, 9: 1}
    known: set[int] = set()
    for event in events:
        if isinstance(event, AccountRegistered):
            known.add(event.user_id)
        elif isinstance(event, TweetCreated):
            assert event.author_id in known


def test_the_stream_is_in_time_order_and_its_size_is_known(stream_files: Path) -> None:
    dataset = open_dataset("public_stream", stream_files)
    shifted = list(dataset.events(shift_to_end(dataset.recordings, 1_900_000_000_000)))
    assert [event.ts for event in shifted] == sorted(event.ts for event in shifted)
    assert len(shifted) == dataset.size
