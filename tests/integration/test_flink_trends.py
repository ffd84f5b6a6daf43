"""The trends job on the embedded mini cluster: a log whose lists are known exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
import redis

from ingestion.events import ClockAdvanced, Event, TweetCreated, encode
from ingestion.topics import TWEETS
from pipelines.settings import FlinkSettings
from timelines.bodies import Trend, TrendList, decode_trends
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

HOUR = 3_600_000
MINUTE = 60_000
NAMESPACE = "trendtest"
START = 1_350_000_000_000 // HOUR * HOUR
LAST = {"1h": START + 125 * MINUTE, "6h": START + 7 * HOUR, "24h": START + 25 * HOUR}


def tweet(number: int, minute: int, text: str, tags: tuple[str, ...] = (), place: str | None = None) -> Event:
    return TweetCreated(
        event_id=f"t{number}",
        ts=START + minute * MINUTE,
        tweet_id=number,
        author_id=number % 4,
        text=text,
        hashtags=tags,
        place=place,
    )


def log() -> Iterator[Event]:
    """#big: 4 tweets in the first hour, 8 in the second, these with chai; every other one in Rome."""
    for number in range(4):
        yield tweet(
            number,
            10 * number,
            "#Big http://a.b/Bigger @biggest",
            ("Big", "big"),
            "Rome" if number % 2 else None,
        )
    for number in range(4, 12):
        yield tweet(number, 60 + number, "nothing but chai", ("BIG",), "Rome" if number % 2 else None)
    yield ClockAdvanced(event_id="clock", ts=START + 100 * HOUR)


@pytest.fixture(scope="module")
def rows(
    tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any], valkey: str
) -> list[dict[str, Any]]:
    """The rows of the files when the running job has written the last list to them and to the store."""
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import sql_tables, trends
    from pipelines.stream.store import StoreAddress

    folder = tmp_path_factory.mktemp("trends")
    (folder / "tweets").mkdir()
    (folder / "tweets" / "log.json").write_bytes(b"not an event\n" + b"\n".join(map(encode, log())))
    env = flink_environment()
    t_env = StreamTableEnvironment.create(env)
    # A source that goes on looking for files: the job runs on, as it does on Kafka.
    source = {
        "connector": "filesystem",
        "path": str(folder / "tweets"),
        "source.monitor-interval": "1 s",
        **sql_tables.json_format(),
    }
    sql_tables.create_event_table(t_env, TWEETS, source, late_seconds=trends.LATE_SECONDS)
    lists = trends.build(t_env)
    trends.write_files(t_env, lists, folder / "files")
    address = StoreAddress(RedisSettings(url=valkey), TimelineSettings(), NAMESPACE)
    trends.write_lists(lists, address, FlinkSettings()).print()
    job = env.execute_async("trends test")
    try:
        until = time.monotonic() + 240
        while not (written(valkey) and LAST["24h"] == last_lists(read_files(folder / "files")).get("24h")):
            assert time.monotonic() < until, "the job did not write its last list"
            assert not job.get_job_status().result().is_globally_terminal_state(), "the job ended"
            time.sleep(0.2)
        return read_files(folder / "files")
    finally:
        job.cancel().result()


def read_files(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        return []
    return ds.dataset(folder, partitioning="hive", format="parquet").to_table().to_pylist()


def last_lists(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Window -> when its last list closed (ms UTC)."""
    last: dict[str, float] = {}
    for row in rows:
        last[row["window"]] = max(last.get(row["window"], 0), row["as_of"].timestamp() * 1000)
    return last


def written(valkey: str) -> bool:
    newest = stored(valkey)
    return newest is not None and newest.as_of == LAST["24h"]


def stored(valkey: str) -> TrendList | None:
    keys = Keyspace(NAMESPACE, RedisSettings().partitions)
    with redis.Redis.from_url(valkey) as client:
        return decode_trends(client.get(keys.trends("world", "24h")))


def listed(rows: list[dict[str, Any]], place: str, window: str, hours: float) -> list[tuple[Any, ...]]:
    """(rank, term, count, authors, expected, score) of the list that closes so long after the start."""
    at = START + round(hours * HOUR)
    return sorted(
        (row["rank"], row["term"], row["count"], row["authors"], row["expected"], row["score"])
        for row in rows
        if (row["place"], row["window"], row["as_of"].timestamp() * 1000) == (place, window, at)
    )


def test_a_term_is_counted_once_a_tweet_and_told_with_its_distinct_authors(
    rows: list[dict[str, Any]],
) -> None:
    assert listed(rows, "world", "1h", 1) == [(1, "#big", 4, 4, 0, 16.0)]


def test_the_score_sets_the_growth_against_the_window_before(rows: list[dict[str, Any]]) -> None:
    assert listed(rows, "world", "1h", 2) == [
        (1, "chai", 8, 4, 0, 64.0),
        (2, "#big", 8, 4, 4, 4.0),
    ]


def test_a_place_has_its_own_list_and_needs_enough_authors(rows: list[dict[str, Any]]) -> None:
    assert {row["place"] for row in rows} == {"world"}


def test_links_mentions_and_stop_words_are_no_terms(rows: list[dict[str, Any]]) -> None:
    assert {row["term"] for row in rows} == {"#big", "chai"}


def test_every_window_closes_when_the_clock_is_advanced(rows: list[dict[str, Any]]) -> None:
    assert last_lists(rows) == LAST


def test_the_store_holds_the_newest_list_and_since_when_each_term_is_in_it(
    rows: list[dict[str, Any]], valkey: str
) -> None:
    assert stored(valkey) == TrendList(
        START + 25 * HOUR,
        (
            Trend("chai", 1, 8, 4, 64.0, START - 22 * HOUR),
            Trend("#big", 2, 8, 4, 4.0, START - 23 * HOUR),
        ),
    )
