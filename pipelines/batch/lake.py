"""Reads the lake's events into Spark, each event once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it
from pyspark.sql import types as T  # noqa: N812 - the name PySpark's own guide gives it

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
from ingestion.lake import Column, columns, event_folder

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


def read_lake(spark: SparkSession, lake: Path, namespace: str, until_ms: int) -> LakeEvents:
    """The events before ``until_ms`` that features are made of; a type never archived is an empty frame."""

    def before(event_type: type[Event]) -> DataFrame:
        return read_events(spark, lake, namespace, event_type).where(F.col("ts") < until_ms)

    return LakeEvents(
        follows=before(FollowChanged),
        tweets=before(TweetCreated),
        deletions=before(TweetDeleted),
        retweets=before(RetweetChanged),
        likes=before(LikeChanged),
        impressions=before(Impression),
        reports=before(ClientReport),
    )


def read_events(spark: SparkSession, lake: Path, namespace: str, event_type: type[Event]) -> DataFrame:
    """The events of one type without redeliveries.

    Raises:
        LakeFileError: a file is cut short, is none of Parquet, or lacks a column.
    """
    folder = event_folder(lake, namespace, event_type)
    schema = event_schema(event_type)
    if not any(folder.glob("day=*/[!._]*")):
        return spark.createDataFrame([], schema)
    check_files(folder, event_type)
    names = [field.name for field in schema]
    return (
        spark.read.schema(schema).parquet(str(folder.absolute())).select(*names).dropDuplicates(["event_id"])
    )


def check_files(folder: Path, event_type: type[Event]) -> None:
    """That every file of an event type is whole and has the columns that no event is without.

    Spark would take a column that is not there for one full of nulls. Files that are still being written, or
    were left by a writer that died (their names start with a dot or an underscore), are not read by anyone.

    Raises:
        LakeFileError: a file is cut short, is none of Parquet, or lacks a column.
    """
    required = [column.name for column in columns(event_type) if column.required]
    for path in sorted(folder.glob("day=*/[!._]*")):
        try:
            there = set(pq.read_schema(path).names)
        except (pa.ArrowInvalid, OSError) as error:
            raise LakeFileError(
                f"{path} is not a whole Parquet file: take it away, and replay that day into the lake."
            ) from error
        if lacking := [name for name in required if name not in there]:
            raise LakeFileError(f"{path} lacks {', '.join(lacking)}, which every {folder.name} event has.")


class LakeFileError(RuntimeError):
    """A file of the lake cannot be read as what it should be; the message is one sentence that names it."""


def event_schema(event_type: type[Event]) -> T.StructType:
    """The Spark schema of an event type's files."""
    return T.StructType([T.StructField(column.name, _spark_type(column)) for column in columns(event_type)])


def _spark_type(column: Column) -> T.DataType:
    scalar = _TYPES[column.kind]
    return T.ArrayType(scalar) if column.array else scalar
