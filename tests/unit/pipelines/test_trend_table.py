"""The analysts' table: files a moment, one file a day, and days worked out again from the lake."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ingestion.events import TweetCreated
from ingestion.lake import event_folder
from ingestion.lake_compaction import compact
from pipelines.trends import table
from pipelines.trends.board import Row
from pipelines.trends.history import rebuild
from pipelines.trends.plan import TrendPlan, Window

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PLAN = TrendPlan(windows=(Window("1h", 60, 1, 5, 600),))


def row(minutes: int, term: str = "#a", rank: int = 1, tweets: int = 9, day: int = 0) -> Row:
    as_of = int((NOON + timedelta(days=day, minutes=minutes)).timestamp() * 1000)
    return Row("world", "1h", as_of, term, rank, tweets, 4, 1.5, 3.0, None if rank > 1 else as_of)


def read(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ds.dataset(folder, partitioning="hive").to_table().to_pylist()
    return sorted(found, key=lambda line: (line["as_of"], line["rank"]))


def test_rows_stand_in_the_folder_of_the_day_in_which_the_window_ends(tmp_path: Path) -> None:
    table.write(tmp_path, [row(0), row(5), row(0, "#b", 2), row(0, day=1)])
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")) == [
        "day=2026-01-05/120000.parquet",
        "day=2026-01-05/120500.parquet",
        "day=2026-01-06/120000.parquet",
    ]
    first = read(tmp_path)[0]
    assert (first["term"], first["as_of"], first["since"], first["count"]) == ("#a", NOON, NOON, 9)


def test_a_moment_written_again_replaces_its_rows(tmp_path: Path) -> None:
    table.write(tmp_path, [row(0), row(0, "#b", 2)])
    table.write(tmp_path, [row(0, tweets=10)])
    assert [(line["term"], line["count"]) for line in read(tmp_path)] == [("#a", 10)]


def test_compacting_keeps_every_row_in_one_file_a_day(tmp_path: Path) -> None:
    table.write(tmp_path, [row(minutes) for minutes in range(0, 60, 5)])
    before = read(tmp_path)
    assert table.compact(tmp_path) == {"2026-01-05": 12}
    assert read(tmp_path) == before
    assert [path.name for path in tmp_path.rglob("*.parquet")] == [table.WHOLE]
    assert table.compact(tmp_path) == {}


def test_compacting_again_takes_the_later_version_of_a_moment(tmp_path: Path) -> None:
    table.write(tmp_path, [row(0), row(5)])
    table.compact(tmp_path)
    table.write(tmp_path, [row(5, tweets=10), row(10)])
    table.compact(tmp_path)
    assert [line["count"] for line in read(tmp_path)] == [9, 10, 9]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_day_rebuilt_from_the_lake_has_the_late_tweets_in_their_place(
    tmp_path: Path, compacted: bool
) -> None:
    lake = tmp_path / "lake"
    day = event_folder(lake, "", TweetCreated) / "day=2026-01-05"
    day.mkdir(parents=True)
    start = int(NOON.timestamp() * 1000)
    # In order of arrival: the last three came an hour late.
    moments = [start + minute * 60_000 for minute in (*range(4), 65, 66, *range(3))]
    tweets = pa.table(
        {
            "ts": moments,
            "author_id": list(range(len(moments))),
            "text": ["storm"] * len(moments),
            "lang": ["en"] * len(moments),
            "place": pa.array([None] * len(moments), pa.string()),
            "visibility": pa.array([None] * len(moments), pa.string()),
            "hashtags": pa.array([[]] * len(moments), pa.list_(pa.string())),
        }
    )
    pq.write_table(tweets.slice(0, 6), day / "part-0.parquet")
    pq.write_table(tweets.slice(6), day / "part-1.parquet")
    if compacted:
        assert list(compact(lake, "", date(2026, 1, 6), timedelta(days=1), NOON))
    folder = table.trends_folder(lake, "")
    table.write(folder, [row(5, "storm", tweets=4)])
    assert list(rebuild(lake, "", PLAN, True, (date(2026, 1, 5), date(2026, 1, 5)))) == [
        (date(2026, 1, 5), len(read(folder)))
    ]
    counts = {line["as_of"]: (line["count"], line["authors"]) for line in read(folder)}
    assert counts[NOON + timedelta(minutes=5)] == (7, 7)
