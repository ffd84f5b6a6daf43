"""Feast's Spark offline store with a point-in-time join that sorts once per view.

Feast's own query joins each example with every older row of its entity, twice, and tells examples apart by
join keys written one after another without a separator, so that (1, 23) and (12, 3) at one moment are one.
Here the rows of a view and the examples are put in one order by time within their entity, and each example
takes the last row before it: one shuffle per view, and no made-up identity.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from datetime import timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
    SparkRetrievalJob,
    get_spark_session_or_start_new_with_repoconfig,
)
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.offline_stores.offline_utils import (
    get_expected_join_keys,
    infer_event_timestamp_from_entity_df,
)
from feast.infra.registry.base_registry import BaseRegistry
from feast.type_map import spark_schema_to_np_dtypes
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.names import VIEWS
from features.spark_session import use_this_python


class TidelineOfflineStoreConfig(SparkOfflineStoreConfig):  # type: ignore[misc]
    """As Feast's Spark store: ``spark_conf`` and the rest."""

    type: str = "features.offline_store.TidelineOfflineStore"


class PlannedRetrieval(SparkRetrievalJob):  # type: ignore[misc]
    """A retrieval job around a frame that is planned already.

    The answer comes over Parquet files: row by row through the Python gateway, as Spark hands it over to an
    older PyArrow, 100,000 rows take minutes.
    """

    def __init__(self, frame: DataFrame, config: RepoConfig, full_feature_names: bool) -> None:
        super().__init__(frame.sparkSession, "", full_feature_names, config)
        self._frame = frame

    def to_spark_df(self) -> DataFrame:
        """The frame, not run yet."""
        return self._frame

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with tempfile.TemporaryDirectory(prefix="tideline-") as folder:
            self._frame.write.mode("overwrite").parquet(folder)
            return pq.read_table(folder)

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return pd.DataFrame(self._to_arrow_internal().to_pandas())


class TidelineOfflineStore(SparkOfflineStore):  # type: ignore[misc]
    """Spark sources over Parquet folders; everything but the point-in-time join is Feast's."""

    supports_filter_by_created_timestamp = False

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **kwargs: Any,
    ) -> RetrievalJob:
        """The examples in ``entity_df`` with each view's newest row at that moment."""
        if entity_df is None:
            return SparkOfflineStore.get_historical_features(
                config, feature_views, feature_refs, None, registry, project, full_feature_names, **kwargs
            )
        use_this_python()
        spark = get_spark_session_or_start_new_with_repoconfig(config.offline_store)
        frame = _examples(spark, entity_df)
        moment = infer_event_timestamp_from_entity_df(
            dict(zip(frame.columns, spark_schema_to_np_dtypes(frame.dtypes), strict=True))
        )
        expected = get_expected_join_keys(project, feature_views, registry)
        if absent := sorted({*expected} - {*frame.columns}):
            raise ValueError(f"The examples lack the join keys {', '.join(absent)}.")
        for view in feature_views:
            wanted = _wanted(view, feature_refs)
            renamed = {name: f"{view.projection.name_to_use()}__{name}" for name in wanted}
            columns = renamed if full_feature_names else {name: name for name in wanted}
            ttl = view.ttl or timedelta(0)
            frame = as_of(frame, moment, *_rows(spark, view, columns), ttl, _lifetimes(view, columns))
        return PlannedRetrieval(frame, config, full_feature_names)

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, *arguments: Any, **named: Any) -> RetrievalJob:
        """The newest row of each entity in a span of time: what materialization writes."""
        with redirect_stdout(io.StringIO()):
            job = SparkOfflineStore.pull_latest_from_table_or_query(config, *arguments, **named)
        return PlannedRetrieval(job.to_spark_df(), config, full_feature_names=False)


def as_of(
    examples: DataFrame,
    moment: str,
    rows: DataFrame,
    keys: Sequence[str],
    ttl: timedelta,
    decay_s: Mapping[str, float] | None = None,
    read_at: str | None = None,
) -> DataFrame:
    """``examples`` with the newest of ``rows`` at or before ``moment``, unless older than ``ttl``.

    Args:
        rows: ``keys``, ``event_timestamp``, ``created`` (of rows of one time the newest counts) and features.
        ttl: zero for no limit.
        decay_s: lifetimes of the features that decay from the row's moment to the example's.
        read_at: where the rows of ``moment`` were read later, the column that says when: they age until then.
    """
    features = [name for name in rows.columns if name not in {*keys, "event_timestamp", "created"}]
    left = examples.select(
        *keys,
        F.col(moment).alias("at"),
        F.struct(*examples.columns).alias("example"),
    )
    right = rows.select(
        *keys,
        F.col("event_timestamp").alias("at"),
        "created",
        F.struct("event_timestamp", *features).alias("row"),
    )
    # A row of the very moment comes before the example: nulls (no example) sort first.
    order = Window.partitionBy(*keys).orderBy("at", F.col("example").isNotNull(), "created")
    seen = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    newest = F.last("row", ignorenulls=True).over(seen)
    both = right.unionByName(left, allowMissingColumns=True).withColumn("row", newest)
    joined = both.where(F.col("example").isNotNull())
    seconds = int(ttl.total_seconds())
    read = F.col("at" if read_at is None else f"example.{read_at}")
    fresh = F.lit(True)
    if seconds:
        fresh = F.col("row.event_timestamp") >= read - F.make_dt_interval(secs=F.lit(seconds))
    age_s = read.cast("double") - F.col("row.event_timestamp").cast("double")
    values = {name: F.col(f"row.{name}") for name in features}
    for name, lifetime in (decay_s or {}).items():
        values[name] = (values[name] * F.exp(-age_s / lifetime)).cast("float")
    return joined.select("example.*", *(F.when(fresh, values[name]).alias(name) for name in features))


def _examples(spark: SparkSession, entity_df: pd.DataFrame | DataFrame | str) -> DataFrame:
    if isinstance(entity_df, str):
        return spark.sql(entity_df)
    if isinstance(entity_df, pd.DataFrame):
        return spark.createDataFrame(entity_df)
    return entity_df


def _wanted(view: FeatureView, feature_refs: Sequence[str]) -> list[str]:
    """The features of ``view`` that were asked for, as its schema names them."""
    name = view.projection.name_to_use()
    return [ref.split(":", 1)[1] for ref in feature_refs if ref.split(":", 1)[0] == name]


def _lifetimes(view: FeatureView, columns: Mapping[str, str]) -> dict[str, float]:
    """Of the decaying features, as ``columns`` rename them."""
    return {
        columns[feature.name]: feature.decay_s
        for known in VIEWS
        if known.name == view.name
        for feature in known.features
        if feature.decay_s is not None and feature.name in columns
    }


def _rows(spark: SparkSession, view: FeatureView, columns: dict[str, str]) -> tuple[DataFrame, list[str]]:
    """The offline rows of a view, and its join keys as the examples name them."""
    source = view.batch_source
    stored = {renamed: column for column, renamed in source.field_mapping.items()}
    join_keys = {
        column.name: view.projection.join_key_map.get(column.name, column.name)
        for column in view.entity_columns
    }
    created = source.created_timestamp_column
    rows = spark.sql(f"SELECT * FROM {source.get_table_query_string()}").select(  # noqa: S608 - Feast's own name
        *(F.col(stored.get(name, name)).alias(alias) for name, alias in (join_keys | columns).items()),
        F.col(source.timestamp_field).alias("event_timestamp"),
        (F.col(created) if created else F.lit(None).cast("timestamp")).alias("created"),
    )
    return rows, list(join_keys.values())
