"""Trends worked out again from the lake, where every tweet is in its place, however late it came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ingestion.events import TweetCreated
from ingestion.lake import PARTITION_COLUMN, event_folder
from ingestion.lake_partitions import current_files
from pipelines.trends import table
from pipelines.trends.board import Row
from pipelines.trends.engine import TrendEngine
from pipelines.trends.occurrences import Reader
from pipelines.trends.plan import TrendPlan
from pipelines.trends.posts import Post, Posts
from pipelines.trends.stop_words import stop_words
from pipelines.trends.terms import TermReader

WARM_UP_DAYS = 7
"""What is read before the first day, for the terms' history."""
BATCH = 10_000
_COLUMNS = ["ts", "author_id", "text", "lang", "place", "visibility", "hashtags"]


def rebuild(
    lake: Path, namespace: str, plan: TrendPlan, words: bool, days: tuple[date, date]
) -> Iterator[tuple[date, int]]:
    """Replace the rows of the days from the first to the last; yields each day and its number of rows.

    Lists in the store stay as they are. A day whose tweets are not in the lake loses its rows.
    """
    first, last = days
    folder = table.trends_folder(lake, namespace)
    reader = Reader(TermReader(stop_words(), words), plan.pane_ms, plan.languages)
    engine = TrendEngine(plan, partitions=1)
    engine.begin(0)
    rows: list[Row] = []
    every = (last - first).days + WARM_UP_DAYS + 1
    for day in (first + timedelta(days=number - WARM_UP_DAYS) for number in range(every)):
        batches = _tweets(event_folder(lake, namespace, TweetCreated), day)
        for posts in [*batches, Posts([], 0, _midnight_ms(day + timedelta(days=1)))]:
            engine.take(msgspec.msgpack.encode(reader.contribution(0, posts)), 0)
            rows += engine.close_panes(0)
        if day >= first:
            yield day, table.replace_day(folder, day, rows)
        # The window that ends at midnight belongs to the next day.
        rows = [row for row in rows if row.as_of >= _midnight_ms(day + timedelta(days=1))]


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _tweets(folder: Path, day: date) -> Iterator[Posts]:
    """The public tweets of a day in order of time."""
    place = folder / f"{PARTITION_COLUMN}={day}"
    files = [str(path) for path in current_files(place)]
    if not files:
        return
    found: Any = ds.dataset(files, format="parquet").to_table(columns=_COLUMNS)
    found = found.filter(pc.fill_null(pc.equal(found["visibility"], "public"), True)).sort_by("ts")
    for batch in found.to_batches(max_chunksize=BATCH):
        posts = [
            Post(
                type="",
                ts=row["ts"],
                author_id=row["author_id"],
                text=row["text"],
                lang=row["lang"],
                place=row["place"],
                hashtags=tuple(row["hashtags"] or ()),
            )
            for row in batch.to_pylist()
        ]
        yield Posts(posts, posts[-1].ts, 0)
