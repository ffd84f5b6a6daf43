"""Tables kept by the day: ``<table>/day=YYYY-MM-DD/*.parquet``, replaced from one day on.

Whoever reads a table never meets a part that is still being written: days are written in a folder beside the
tables and renamed, and what they replace is renamed away first.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMN = "day"
STAGING = ".staging"
SUCCESS = "_SUCCESS"
"""The file in a table that is whole, as Spark calls it."""
_OLD = ".replaced"


def day_name(moment_ms: int) -> str:
    """The UTC day of a moment, as a partition names it."""
    return datetime.fromtimestamp(moment_ms / 1000, tz=UTC).strftime("%Y-%m-%d")


def day_start_ms(day: str) -> int:
    """The first moment of a day, ms UTC.

    Raises:
        ValueError: not a day written as 2026-11-21.
    """
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)


def days_in(table: Path) -> dict[str, Path]:
    """The partitions of a table by their day, in order."""
    return {path.name.removeprefix(f"{COLUMN}="): path for path in sorted(table.glob(f"{COLUMN}=*"))}


def succeeded(table: Path) -> bool:
    """Whether all of a table is written."""
    return (table / SUCCESS).is_file()


def finished_s(table: Path) -> float:
    """When all of a table was written, seconds of the file system's clock."""
    return (table / SUCCESS).stat().st_mtime


def unfinished(folder: Path) -> list[str]:
    """The tables there whose days were being replaced when the process ended."""
    return [table.name for table in sorted(folder.glob("*")) if days_in(table) and not succeeded(table)]


def newest_parts(table: Path, rows: int) -> list[Path]:
    """The files of the newest days that together have ``rows`` rows, or all; no other is opened.

    Without days all files are one.
    """
    found: list[Path] = []
    count = 0
    for folder in [*reversed(days_in(table).values())] or [table]:
        if count >= rows:
            break
        parts = sorted(folder.glob("*.parquet"))
        count += sum(pq.read_metadata(part).num_rows for part in parts)
        found += parts
    return found


def read_days(
    spark: SparkSession, table: Path, since: str = "", before: str | None = None
) -> DataFrame | None:
    """The rows of the days from ``since`` on and ``before`` a day; None where there are none."""
    chosen = [
        str(path.absolute())
        for day, path in days_in(table).items()
        if day >= since and (before is None or day < before)
    ]
    return spark.read.parquet(*chosen) if chosen else None


def stage(frame: DataFrame, table: Path, first_day: str) -> Path:
    """Writes ``frame``, which has a column ``day``, beside ``table``; where the days lie.

    Without a row there is one empty part, of ``first_day``, so that the columns are known.
    """
    staged = (table.parent / STAGING / table.name).absolute()
    frame.write.mode("overwrite").partitionBy(COLUMN).parquet(str(staged))
    if not days_in(staged):
        empty = frame.drop(COLUMN).limit(0).coalesce(1)
        empty.write.parquet(str(staged / f"{COLUMN}={first_day}"))
    return staged


def put(staged: Path, table: Path, first_day: str) -> None:
    """Puts the staged days in place of all days of ``table`` from ``first_day`` on."""
    old = staged.with_name(f"{staged.name}{_OLD}")
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir(parents=True)
    table.mkdir(parents=True, exist_ok=True)
    # What an earlier layout kept beside the days would be read with them.
    outdated = [path for path in table.glob("*.parquet") if path.is_file()]
    replaced = [path for day, path in days_in(table).items() if day >= first_day]
    # Whoever dies from here on leaves a table that is not whole, and does not say that it is.
    (table / SUCCESS).unlink(missing_ok=True)
    for path in (*replaced, *outdated):
        path.rename(old / path.name)
    for path in days_in(staged).values():
        path.rename(table / path.name)
    (table / SUCCESS).touch()
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(staged, ignore_errors=True)
