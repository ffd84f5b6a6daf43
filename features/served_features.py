"""The features logged at serving, beside what the offline store says of the same moments.

What Spark computes was online as of a materialization, whose moments Feast's registry keeps; it is joined
once more as of the last one, and as of the one before, as a page that is served while rows are written meets
both.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from feast import FeatureStore
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.day_partitions import finished_s, succeeded
from features.historical import LOGGED, OFFLINE, joined_examples
from features.names import MODEL_INPUT, VIEWS, View
from features.offline_store import as_of
from features.parity import ParityReport, Values, compare
from features.settings import HasFeatureStore
from features.spark_session import spark_session
from features.store import offline_folder, open_store

SERVED_FEATURES = "served_features"
MATERIALIZED = ("materialized", "materialized_before")
"""The structs of what was online as of the last materialization and the one before it; with ``_at``, when."""
# Of nightly runs three years, of hourly ones six weeks.
MOST_MATERIALIZATIONS = 1000
_KEYS = ("request_id", "user", "author", "tweet", "event_timestamp")


def parity(settings: HasFeatureStore) -> ParityReport | None:
    """The logged features of the newest examples compared; None where no example has any.

    Raises:
        OfflineRowsMissingError: no examples were built yet.
        FeatureServiceError: the registered feature service is not this build's.
    """
    limits = settings.features.parity
    examples = joined_examples(settings)
    if not pd.read_parquet(examples, columns=[LOGGED], partitioning=None)[LOGGED].any():
        return None
    frame = pq.read_table(_served(settings, examples)).flatten().to_pandas()
    logged, offline = (_side(frame, side) for side in (LOGGED, OFFLINE))
    materialized = []
    for side in MATERIALIZED:
        age = frame["event_timestamp"] - frame[_at(side)]
        usable = (age <= timedelta(hours=limits.stale_hours)).to_numpy()
        values = _side(frame, side).items()
        materialized.append({name: np.where(usable, found, offline[name]) for name, found in values})
    return compare(logged, offline, materialized, limits)


def _served(settings: HasFeatureStore, examples: Path) -> Path:
    """The folder of ``SERVED_FEATURES``, made anew where the examples were joined since."""
    folder = offline_folder(settings) / SERVED_FEATURES
    if not _current(folder) or folder.stat().st_mtime < finished_s(examples):
        spark = spark_session(settings.features)
        rows = spark.read.parquet(str(examples.absolute())).where(LOGGED)
        newest = rows.orderBy(F.desc("event_timestamp")).limit(settings.features.parity.rows)
        served = _with_materialized(spark, open_store(settings), offline_folder(settings), newest)
        served.write.mode("overwrite").parquet(str(folder.absolute()))
        # Spark knows a cached frame by its folders, whatever is put there later.
        spark.catalog.clearCache()
    return folder


def _with_materialized(spark: SparkSession, store: FeatureStore, offline: Path, rows: DataFrame) -> DataFrame:
    """Keys and the structs ``LOGGED``, ``OFFLINE`` and ``MATERIALIZED``, with the moments of the latter."""
    views = [view for view in VIEWS if view.engine == "spark"]
    moments = _materializations(store, views)
    before = F.filter(F.array(*map(F.lit, moments)).cast("array<timestamp>"), lambda at: at <= F.col("at"))
    frame = (
        rows.select(
            *_KEYS,
            F.struct(*MODEL_INPUT).alias(LOGGED),
            OFFLINE,
            F.col("event_timestamp").alias("at"),
        )
        .withColumns(
            {_at(side): F.get(before, F.size(before) - 1 - back) for back, side in enumerate(MATERIALIZED)}
        )
        .drop("at")
        .cache()
    )
    columns = [column for view in views for column in view.columns]
    for side in MATERIALIZED:
        for view in views:
            frame = _as_materialized(spark, offline, frame, view, _at(side))
        frame = frame.withColumn(side, F.struct(*columns)).drop(*columns)
    return frame


def _as_materialized(
    spark: SparkSession, offline: Path, frame: DataFrame, view: View, moment: str
) -> DataFrame:
    lifetimes = {feature.name: feature.decay_s for feature in view.features if feature.decay_s is not None}
    rows = spark.read.parquet(str((offline / view.name).absolute()))
    keys = frame.select(*view.entities).distinct()
    rows = rows.select(*view.entities, *view.columns, "event_timestamp", "created").join(
        F.broadcast(keys), on=list(view.entities), how="left_semi"
    )
    ttl = timedelta(days=view.ttl_days)
    return as_of(frame, moment, rows, view.entities, ttl, lifetimes, read_at="event_timestamp")


def _materializations(store: FeatureStore, views: list[View]) -> list[datetime]:
    """When all of ``views`` were materialized, by the registry; the dawn of time where they never were."""
    ends = [
        {end.astimezone(UTC) for _, end in store.get_feature_view(view.name).materialization_intervals}
        for view in views
    ]
    return sorted(set.intersection(*ends))[-MOST_MATERIALIZATIONS:] or [datetime.fromtimestamp(0, tz=UTC)]


def _at(side: str) -> str:
    """The column that says as of when a struct of ``MATERIALIZED`` is."""
    return f"{side}_at"


def _current(folder: Path) -> bool:
    """Whether all of the table is there, with the columns of this build."""
    if not succeeded(folder):
        return False
    wanted = {LOGGED, OFFLINE, *MATERIALIZED, *map(_at, MATERIALIZED)}
    return all(wanted <= {*pq.read_schema(part).names} for part in folder.glob("*.parquet"))


def _side(frame: pd.DataFrame, side: str) -> dict[str, Values]:
    """The columns of a flattened struct, float32 [n], NaN for null."""
    names = [name for name in frame if str(name).startswith(f"{side}.")]
    return {str(name).partition(".")[2]: frame[name].to_numpy(dtype=np.float32) for name in names}
