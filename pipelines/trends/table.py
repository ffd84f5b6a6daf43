"""The analysts' table of trends: Parquet files in a folder a day, and their compaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.trends.board import Row

PARTITION = "day"
WHOLE = "whole.parquet"
_TIME = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        ("place", pa.string()),
        ("window", pa.string()),
        ("as_of", _TIME),
        ("term", pa.string()),
        ("rank", pa.int64()),
        ("count", pa.int64()),
        ("authors", pa.int64()),
        ("expected", pa.float64()),
        ("score", pa.float64()),
        ("since", _TIME),
    ]
)
KEY = ("place", "window", "as_of", "term")


def trends_folder(lake: Path, namespace: str) -> Path:
    """Where analysts find the trends: beside the lake, a folder per namespace."""
    return lake.parent / "trends" / namespace


def write(folder: Path, rows: Iterable[Row]) -> None:
    """One file a moment, ``day=YYYY-MM-DD/HHMMSS.parquet``; written again, the moment replaces its file."""
    for as_of, found in groupby(sorted(rows, key=lambda row: row.as_of), lambda row: row.as_of):
        moment = datetime.fromtimestamp(as_of / 1000, UTC)
        day = folder / f"{PARTITION}={moment:%Y-%m-%d}"
        day.mkdir(parents=True, exist_ok=True)
        _put(day, f"{moment:%H%M%S}.parquet", _table(list(found)))


def compact(folder: Path) -> dict[str, int]:
    """Make one file of each day's files; day -> how many there were.

    A moment that a restarted job has written again replaces the same moment of the file made before. The
    whole is there before its parts go: who reads in that instant may see rows twice, and misses none.
    """
    merged = {}
    for day in sorted(folder.glob(f"{PARTITION}=*")):
        parts = sorted(path for path in day.glob("[!._]*.parquet") if path.name != WHOLE)
        if not parts:
            continue
        table = pa.concat_tables([pq.ParquetFile(path).read() for path in parts])
        count = len(parts)
        if (day / WHOLE).exists():
            count += 1
            before = pq.ParquetFile(day / WHOLE).read()
            again = pc.is_in(before["as_of"], value_set=pc.unique(table["as_of"]))
            table = pa.concat_tables([before.filter(pc.invert(again)), table])
        order = [(name, "ascending") for name in ("place", "window", "as_of", "rank")]
        _put(day, WHOLE, table.sort_by(order))
        for path in parts:
            path.unlink()
        merged[day.name.partition("=")[2]] = count
    return merged


def replace_day(folder: Path, day: date, rows: Iterable[Row]) -> int:
    """The day's rows (by the windows' ends) are these and no others; how many they are."""
    found = [row for row in rows if datetime.fromtimestamp(row.as_of / 1000, UTC).date() == day]
    place = folder / f"{PARTITION}={day}"
    parts = [path for path in place.glob("[!._]*.parquet") if path.name != WHOLE]
    if found:
        place.mkdir(parents=True, exist_ok=True)
        _put(place, WHOLE, _table(found))
    for path in parts:
        path.unlink()
    return len(found)


def _table(rows: Sequence[Row]) -> Any:
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    arrays = [
        pa.array(column, pa.int64()).cast(_TIME) if field.type == _TIME else pa.array(column, field.type)
        for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _put(day: Path, name: str, table: Any) -> None:
    """A reader sees the whole file or none: names that begin with a dot are skipped by every reader."""
    partial = day / f".{name}"
    pq.write_table(table, partial, compression="zstd")
    partial.replace(day / name)
