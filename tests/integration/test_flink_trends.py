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
from pipelines.settings import FlinkSettings
from pipelines.trends.plan import TrendPlan
from timelines.bodies import TrendList, decode_trends
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

HOUR = 3_600_000
MINUTE = 60_000
NAMESPACE = "trendtest"
START = 1_350_000_000_000 // HOUR * HOUR
LAST = START + 2 * HOUR


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
    """#big: 4 tweets in the first hour, 8 in the second, these with masala chai; every other one in Rome."""
    for number in range(4):
        yield tweet(
            number,
            10 * number,
            "#Big http://a.b/Bigger @biggest",
            ("Big", "big"),
            "Rome" if number % 2 else None,
        )
    for number in range(4, 12):
        yield tweet(number, 60 + number, "nothing but masala chai", ("BIG",), "Rome" if number % 2 else None)
    yield tweet(12, 119, "goodbye")
    yield ClockAdvanced(event_id="clock", ts=START + 100 * HOUR)


@pytest.fixture(scope="module")
def rows(
    tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any], valkey: str
) -> list[dict[str, Any]]:
    """The rows of the files when the running job has written the last list to them and to the store."""
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import connectors, trends
    from pipelines.stream.store import StoreAddress

    folder = tmp_path_factory.mktemp("trends")
    (folder / "tweets").mkdir()
    (folder / "tweets" / "log.json").write_bytes(b"not an event\n" + b"\n".join(map(encode, log())))
    env = flink_environment()
    tables = StreamTableEnvironment.create(env)
    # A source that goes on looking for files: the job runs on, as it does on Kafka.
    tables.execute_sql(f"""
        CREATE TEMPORARY TABLE raw_records (
            record_value BYTES,
            record_key AS CAST(NULL AS BYTES),
            `topic` AS 'tweets',
            `partition` AS 0,
            `offset` AS CAST(0 AS BIGINT),
            arrival AS PROCTIME()
        ) WITH ('connector' = 'filesystem', 'path' = '{folder / "tweets"}', 'format' = 'raw',
            'source.monitor-interval' = '1 s')""")
    batches = connectors.batches_of(tables, FlinkSettings(), shard_by=None)
    address = StoreAddress(RedisSettings(url=valkey), TimelineSettings(), NAMESPACE)
    plan = TrendPlan(enter=2.0, leave=1.0)
    trends.build(batches, address, folder / "files", plan, partitions=1, words=True).print()
    job = env.execute_async("trends test")
    try:
        until = time.monotonic() + 120
        while not (written(valkey) and LAST in {row["as_of"] for row in read_files(folder / "files")}):
            assert time.monotonic() < until, "the job did not write its last list"
            assert not job.get_job_status().result().is_globally_terminal_state(), "the job ended"
            time.sleep(0.2)
        return read_files(folder / "files")
    finally:
        job.cancel().result()


def read_files(folder: Path) -> list[dict[str, Any]]:
    """Times as ms UTC."""
    if not folder.is_dir():
        return []
    found = ds.dataset(folder, partitioning="hive", format="parquet").to_table().to_pylist()
    return [row | {"as_of": round(row["as_of"].timestamp() * 1000)} for row in found]


def written(valkey: str) -> bool:
    newest = stored(valkey, "1h")
    return newest is not None and newest.as_of == LAST


def stored(valkey: str, window: str) -> TrendList | None:
    keys = Keyspace(NAMESPACE, RedisSettings().partitions)
    with redis.Redis.from_url(valkey) as client:
        return decode_trends(client.get(keys.trends("world", window)))


def listed(rows: list[dict[str, Any]], place: str, window: str, minutes: int) -> list[tuple[Any, ...]]:
    """(rank, term, count, authors, score) of the list that closes so long after the start."""
    at = START + minutes * MINUTE
    return sorted(
        (row["rank"], row["term"], row["count"], row["authors"], row["score"])
        for row in rows
        if (row["place"], row["window"], row["as_of"]) == (place, window, at)
    )


def test_a_term_is_counted_once_a_tweet_and_scored_by_its_distinct_authors(
    rows: list[dict[str, Any]],
) -> None:
    assert listed(rows, "world", "1h", 60) == [(1, "#big", 4, 4, 3.0)]


def test_a_term_that_was_there_before_scores_less_than_a_new_one(rows: list[dict[str, Any]]) -> None:
    found = {
        term: (rank, count, authors) for rank, term, count, authors, _ in listed(rows, "world", "1h", 120)
    }
    assert found == {
        "masala": (1, 8, 4),
        "chai": (2, 8, 4),
        "masala chai": (3, 8, 4),
        "#big": (4, 8, 4),
    } or sorted(found.values()) == [(1, 8, 4), (2, 8, 4), (3, 8, 4), (4, 8, 4)]
    assert found["#big"][0] == 4


def test_a_place_needs_enough_authors(rows: list[dict[str, Any]]) -> None:
    assert {row["place"] for row in rows} == {"world"}


def test_links_mentions_and_stop_words_are_no_terms(rows: list[dict[str, Any]]) -> None:
    assert {row["term"] for row in rows} == {"#big", "masala", "chai", "masala chai"}


def test_the_store_holds_the_newest_page_one_term_a_phrase(rows: list[dict[str, Any]], valkey: str) -> None:
    page = stored(valkey, "1h")
    assert page is not None
    assert [(item.term, item.rank, item.count, item.authors) for item in page.items] == [
        ("masala chai", 1, 8, 4)
    ]
    assert page.items[0].since == START + 67 * MINUTE
