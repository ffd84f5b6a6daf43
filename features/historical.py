"""The frame that models learn from: training examples joined with the features of their moment."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.day_partitions import COLUMN, day_name, put, stage
from features.labels import LABELS
from features.names import CONTEXT_FEATURES, FEATURE_SERVICE, MODEL_INPUT
from features.settings import HasFeatureStore
from features.spark_session import spark_session
from features.store import OfflineRowsMissingError, offline_folder, open_store

TRAINING_EXAMPLES = "training_examples"
TRAINING_FRAME = "training_frame"
KEYS = ("request_id", "user", "author", "tweet", "event_timestamp", "position")


def training_frame(settings: HasFeatureStore) -> pd.DataFrame:
    """Examples with keys, labels and the columns of MODEL_INPUT (float32, NaN where missing).

    Joined by Feast through the feature service that the model pins; a join newer than the examples is
    taken as it is.

    Raises:
        OfflineRowsMissingError: no examples were built yet.
    """
    examples, frame = (offline_folder(settings) / name for name in (TRAINING_EXAMPLES, TRAINING_FRAME))
    if not _succeeded(examples):
        raise OfflineRowsMissingError("There are no training examples: run `tideline features build` first.")
    if not _succeeded(frame) or _finished(frame) < _finished(examples):
        join_examples(settings)
    return pd.read_parquet(frame, partitioning=None)


def examples_built(settings: HasFeatureStore) -> int:
    """How many training examples there are."""
    files = (offline_folder(settings) / TRAINING_EXAMPLES).rglob("*.parquet")
    return sum(pq.read_metadata(file).num_rows for file in files)


def join_examples(settings: HasFeatureStore, since_ms: int = 0) -> int:
    """Join the examples of the days from ``since_ms`` on with the features of their moment into
    ``training_frame``; returns how many they are.

    Raises:
        OfflineRowsMissingError: the examples lack a label that they were not built with.
    """
    folder = offline_folder(settings)
    spark = spark_session(settings.features)
    since_ms = since_ms if _succeeded(folder / TRAINING_FRAME) else 0
    examples = spark.read.parquet(str((folder / TRAINING_EXAMPLES).absolute())).where(
        F.col("event_timestamp") >= F.timestamp_millis(F.lit(since_ms))
    )
    context = [feature.name for feature in CONTEXT_FEATURES]
    if not set(LABELS.values()) <= set(examples.columns):
        raise OfflineRowsMissingError(
            "The training examples are from before this build's labels: run `tideline features build` again."
        )
    store = open_store(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        joined = store.get_historical_features(
            entity_df=examples.select(*KEYS, *LABELS.values(), *context),
            features=store.get_feature_service(FEATURE_SERVICE),
        )
    columns = (*KEYS, *LABELS.values(), *MODEL_INPUT)
    day = F.date_format("event_timestamp", "yyyy-MM-dd").alias(COLUMN)
    staged = stage(joined.to_spark_df().select(*columns, day), folder / TRAINING_FRAME, day_name(since_ms))
    rows = int(spark.read.parquet(str(staged)).count())
    put(staged, folder / TRAINING_FRAME, day_name(since_ms))
    return rows


def _succeeded(folder: Path) -> bool:
    return (folder / "_SUCCESS").is_file()


def _finished(folder: Path) -> float:
    return (folder / "_SUCCESS").stat().st_mtime
