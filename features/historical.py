"""The frame that models learn from: training examples with the features of their moment.

A row that was served with logged features has those; every other has what Feast's point-in-time join finds.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from feast import FeatureStore
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.day_partitions import (
    COLUMN,
    day_name,
    finished_s,
    newest_parts,
    put,
    read_days,
    stage,
    succeeded,
    unfinished,
)
from features.examples import TRAINING_EXAMPLES, TRAINING_FRAME, joined, unjoined_since
from features.labels import LABELS
from features.names import CONTEXT_FEATURES, FEATURE_SERVICE, MODEL_INPUT
from features.settings import HasFeatureStore
from features.spark_session import spark_session
from features.store import OfflineRowsMissingError, check_service, offline_folder, open_store

KEYS = ("request_id", "user", "author", "tweet", "event_timestamp", "position")
LOGGED = "logged"
"""Whether a row's features are those logged at serving."""
OFFLINE = "offline"
"""Of a row with logged features, the struct of what the join finds; null in every other row."""


def training_frame(settings: HasFeatureStore) -> pd.DataFrame:
    """Examples with keys, labels, ``LOGGED`` and the columns of MODEL_INPUT (float32, NaN where missing).

    Joined by Feast through the feature service that the model pins; a join newer than the examples is
    taken as it is.

    Raises:
        OfflineRowsMissingError: no examples were built yet.
        FeatureServiceError: the registered feature service is not this build's.
    """
    return pd.read_parquet(
        joined_examples(settings), columns=[*KEYS, *LABELS.values(), LOGGED, *MODEL_INPUT], partitioning=None
    )


def joined_examples(settings: HasFeatureStore) -> Path:
    """The folder of the joined examples, joined now where they are older than the examples.

    Raises:
        OfflineRowsMissingError: no examples were built yet.
        FeatureServiceError: the registered feature service is not this build's.
    """
    folder = offline_folder(settings)
    examples, frame = folder / TRAINING_EXAMPLES, folder / TRAINING_FRAME
    if torn := [name for name in unfinished(folder) if name != TRAINING_FRAME]:
        raise OfflineRowsMissingError(
            f"A build ended before {', '.join(torn)} was whole: run `tideline features build` again."
        )
    if not succeeded(examples):
        raise OfflineRowsMissingError("There are no training examples: run `tideline features build` first.")
    if _usable(frame) and unjoined_since(folder) is not None:
        join_examples(settings)
    elif not _usable(frame) or finished_s(frame) < finished_s(examples):
        join_examples(settings, since_ms=0)
    return frame


def examples_built(settings: HasFeatureStore) -> bool:
    """Whether there are training examples."""
    parts = newest_parts(offline_folder(settings) / TRAINING_EXAMPLES, rows=1)
    return any(pq.read_metadata(part).num_rows for part in parts)


def join_examples(settings: HasFeatureStore, since_ms: int | None = None) -> int:
    """Join the examples from ``since_ms`` on with the features of their moment into ``training_frame``.

    Without ``since_ms`` those that ``unjoined_since`` tells, or all; returns how many they are.

    Raises:
        OfflineRowsMissingError: the examples lack a label that they were not built with.
        FeatureServiceError: the registered feature service is not this build's.
    """
    folder = offline_folder(settings)
    frame = folder / TRAINING_FRAME
    store = open_store(settings)
    check_service(store)
    spark = spark_session(settings.features)
    since_ms = unjoined_since(folder) if since_ms is None else since_ms
    since_ms = since_ms if since_ms and _usable(frame) else 0
    examples = read_days(spark, folder / TRAINING_EXAMPLES, since=day_name(since_ms)) if since_ms else None
    if examples is None:
        examples = spark.read.parquet(str((folder / TRAINING_EXAMPLES).absolute()))
    examples = examples.where(F.col("event_timestamp") >= F.timestamp_millis(F.lit(since_ms)))
    if not set(LABELS.values()) <= set(examples.columns):
        raise OfflineRowsMissingError(
            "The training examples are from before this build's labels: run `tideline features build` again."
        )
    day = F.date_format("event_timestamp", "yyyy-MM-dd").alias(COLUMN)
    staged = stage(_joined(store, examples).select("*", day), frame, day_name(since_ms))
    rows = int(spark.read.parquet(str(staged)).count())
    put(staged, frame, day_name(since_ms))
    joined(folder)
    return rows


def _joined(store: FeatureStore, examples: DataFrame) -> DataFrame:
    context = [feature.name for feature in CONTEXT_FEATURES]
    entities = examples.select(*KEYS, *LABELS.values(), *context, _vector().alias("vector"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        joined = store.get_historical_features(
            entity_df=entities, features=store.get_feature_service(FEATURE_SERVICE)
        ).to_spark_df()
    logged = F.col("vector").isNotNull()
    features = [
        F.when(logged, F.get("vector", F.lit(place))).otherwise(F.col(name)).cast("float").alias(name)
        for place, name in enumerate(MODEL_INPUT)
    ]
    offline = F.when(logged, F.struct(*MODEL_INPUT))
    return joined.select(*KEYS, *LABELS.values(), *features, logged.alias(LOGGED), offline.alias(OFFLINE))


def _vector() -> Column:
    """The logged features, null unless they are this build's model input."""
    ours = F.col("feature_service") == FEATURE_SERVICE
    return F.when(ours & (F.size("logged_features") == len(MODEL_INPUT)), F.col("logged_features"))


def _usable(frame: Path) -> bool:
    """Whether there is a frame, joined by a build that said where features came from."""
    # All of a frame is by builds that say so, or none of it: the newest days tell.
    parts = newest_parts(frame, rows=1)
    return succeeded(frame) and all(LOGGED in pq.read_schema(part).names for part in parts)
