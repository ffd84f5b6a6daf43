"""Feast's compute engine for materialization, without a protobuf per value.

Feast turns every value of every row into a protobuf and the online store turns it back: ten times what it
takes to pack a table's columns. Rows are pulled by the offline store and written by the online store as ever.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.dag.context import ColumnInfo, ExecutionContext
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.feature_builder import LocalFeatureBuilder
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.compute_engines.local.nodes import LocalSourceReadNode
from feast.infra.registry.base_registry import BaseRegistry
from numpy.typing import NDArray

from features.rows import FloatMatrix
from features.stored_views import PackedView, stored_view


class TidelineComputeEngineConfig(LocalComputeEngineConfig):  # type: ignore[misc]
    """As Feast's local engine."""

    type: str = "features.materialization.TidelineComputeEngine"


class TidelineComputeEngine(LocalComputeEngine):  # type: ignore[misc]
    """Views that are kept packed go to the online store as arrays; any other takes Feast's way."""

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **named: Any
    ) -> LocalMaterializationJob:
        view = task.feature_view
        stored = stored_view(view)
        if not isinstance(stored, PackedView) or not self._is_plain(view):
            return super()._materialize_one(registry, task, **named)
        job_id = f"{view.name}-{task.start_time}-{task.end_time}"
        columns = LocalFeatureBuilder(registry, task, backend=None).get_column_info(view)
        try:
            rows = _newest_rows(task, columns, self.get_execution_context(registry, task))
            self.online_store.write_packed(self.repo_config, stored, *_arrays(rows, stored, columns))
        except Exception as error:
            return LocalMaterializationJob(job_id, MaterializationJobStatus.ERROR, error=error)
        return LocalMaterializationJob(job_id, MaterializationJobStatus.SUCCEEDED)

    def _is_plain(self, view: FeatureView) -> bool:
        """Whether the rows as pulled are what has to be written, and only online."""
        wanted = self.repo_config.materialization_config.pull_latest_features
        reworked = any(
            getattr(view, name, None)
            for name in ("aggregations", "feature_transformation", "filter", "enable_validation", "offline")
        )
        return bool(wanted and view.online and not reworked)


def _newest_rows(task: MaterializationTask, columns: ColumnInfo, context: ExecutionContext) -> pa.Table:
    """The newest row of each entity in the task's span of time."""
    source = task.feature_view.batch_source
    read = LocalSourceReadNode("source", source, columns, task.start_time, task.end_time)
    table: pa.Table = read.execute(context).data
    return table


def _arrays(
    rows: pa.Table, stored: PackedView, columns: ColumnInfo
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatMatrix]:
    """Ids int64 [n, entities], event times int64 [n] (ms UTC), values float32 [n, columns], NaN for null.

    Raises:
        ValueError: a row without an id or an event time.
    """
    keyed = (*stored.entities, columns.timestamp_column)
    if empty := [name for name in keyed if rows.column(name).null_count]:
        raise ValueError(f"{stored.name} has rows without {' and '.join(empty)}.")
    ids = np.column_stack([rows.column(name).to_numpy() for name in stored.entities])
    times = rows.column(columns.timestamp_column).to_numpy().astype("datetime64[ms]").astype(np.int64)
    values = [rows.column(name).to_numpy().astype(np.float32) for name in stored.columns]
    return ids.astype(np.int64), times, np.column_stack(values)
