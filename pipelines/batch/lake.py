"""Reads the lake's events into Spark, each event once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it
from pyspark.sql import types as T  # noqa: N812 - the name PySpark's own guide gives it

from features.day_partitions import day_name, days_in
from ingestion.events import (
    ClientReport,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.lake import Column, columns, event_folder, type_name
from ingestion.lake_partitions import LakeFileError, current_files, footer

_TYPES: dict[str, T.DataType] = {
    "string": T.StringType(),
    "long": T.LongType(),
    "double": T.DoubleType(),
    "boolean": T.BooleanType(),
}


@dataclass(frozen=True)
class LakeEvents:
    """One frame per event type, a column per field of the event."""

    follows: DataFrame
    tweets: DataFrame
    deletions: DataFrame
    retweets: DataFrame
    likes: DataFrame
    impressions: DataFrame
    reports: DataFrame


def read_lake(
    spark: SparkSession, lake: Path, namespace: str, until_ms: int, since_ms: int = 0
) -> LakeEvents:
    """The events that features are made of, from ``since_ms`` on and before ``until_ms``; a type that was
    never archived is an empty frame.
    """

    def between(event_type: type[Event]) -> DataFrame:
        return read_events(spark, lake, namespace, event_type, since_ms, until_ms)

    return LakeEvents(
        follows=between(FollowChanged),
        tweets=between(TweetCreated),
        deletions=between(TweetDeleted),
        retweets=between(RetweetChanged),
        likes=between(LikeChanged),
        impressions=between(Impression),
        reports=between(ClientReport),
    )


def read_events(
    spark: SparkSession,
    lake: Path,
    namespace: str,
    event_type: type[Event],
    since_ms: int = 0,
    until_ms: int | None = None,
) -> DataFrame:
    """The events of one type without redeliveries; only the days that may hold some are opened."""
    rows = stored_events(spark, lake, namespace, event_type, since_ms, until_ms)
    return rows.dropDuplicates(["event_id"])


def stored_events(
    spark: SparkSession,
    lake: Path,
    namespace: str,
    event_type: type[Event],
    since_ms: int = 0,
    until_ms: int | None = None,
) -> DataFrame:
    """The events of one type as they lie in the lake: of a redelivered one there may be several."""
    folder, schema = event_folder(lake, namespace, event_type), event_schema(event_type)
    last = None if until_ms is None else day_name(until_ms - 1)
    files = [
        str(file.absolute())
        for day, path in days_in(folder).items()
        if day >= day_name(since_ms) and (last is None or day <= last)
        for file in current_files(path)
    ]
    if not files:
        return spark.createDataFrame([], schema)
    check_files(files, event_type)
    rows = spark.read.schema(schema).parquet(*files).where(F.col("ts") >= since_ms)
    return rows if until_ms is None else rows.where(F.col("ts") < until_ms)


def check_files(files: Sequence[str], event_type: type[Event]) -> None:
    """That every file of an event type is whole and has the columns that no event is without.

    Spark would take a column that is not there for one full of nulls. Files that are still being written, or
    were left by a writer that died (their names start with a dot or an underscore), are none of them.

    Raises:
        LakeFileError: a file is cut short, is none of Parquet, or lacks a column.
    """
    required = [column.name for column in columns(event_type) if column.required]
    for path in files:
        there = set(footer(Path(path)).schema.to_arrow_schema().names)
        if lacking := [name for name in required if name not in there]:
            raise LakeFileError(
                f"{path} lacks {', '.join(lacking)}, which every {type_name(event_type)} event has."
            )


def event_schema(event_type: type[Event]) -> T.StructType:
    """The Spark schema of an event type's files."""
    return T.StructType([T.StructField(column.name, _spark_type(column)) for column in columns(event_type)])


def _spark_type(column: Column) -> T.DataType:
    scalar = _TYPES[column.kind]
    return T.ArrayType(scalar) if column.array else scalar
