"""What the online store is about to be given, checked: ranges, missing values, freshness and drift.

Drift is told against the moment at which the last training set ended: the rows that would have been written
then, of the same view, so that the two sides are made alike and differ by what happened since. Either side
is a sample of the entities that had rows last, so a check reads a day or two where each has entities enough.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.drift import Histogram, drift, judged
from features.names import VIEWS, View
from features.offline_rows import OfflineView
from features.settings import HasFeatureStore, MaterializationLimits
from features.store import OfflineRowsMissingError, offline_folder
from ingestion.whole_files import write_whole
from pipelines.batch.quality import value_ranges
from pipelines.batch.validation import QualityReport, validate, write_data_docs

TRAINED = "trained.json"
# Entities are chosen by a hash of their keys, so another seed is as good.
_SEED = 0
_VALUES = "values in the row"


def remember_training(results: Path, until: datetime) -> None:
    """Keep when the newest training set ended: what later rows are compared with."""
    write_whole(results / TRAINED, json.dumps({"until": until.isoformat()}))


def trained_until(results: Path) -> datetime | None:
    """When the newest training set ended; None where nothing was trained."""
    try:
        told = json.loads((results / TRAINED).read_text(encoding="utf-8"))
        return datetime.fromisoformat(told["until"])
    except FileNotFoundError:
        return None


def check_rows(settings: HasFeatureStore, until: datetime) -> list[QualityReport]:
    """Every view that Spark computes, as it would be written for the moment ``until``.

    Raises:
        DataQualityError: the rows of a view do not meet what is expected.
        OfflineRowsMissingError: a view has no rows yet.
    """
    limits = settings.features.materialization
    results = settings.features.quality / settings.namespace
    trained = trained_until(results)
    reports = []
    try:
        for view in VIEWS:
            if view.engine == "spark":
                folder = offline_folder(settings) / view.name
                if not any(folder.rglob("*.parquet")):
                    raise OfflineRowsMissingError(
                        f"There are no offline rows of {view.name}: run `tideline features build` first."
                    )
                offline = OfflineView(folder, view)
                rows = _rows(offline, until, trained, limits)
                frame, suite = rows.frame, _suite(view, until, rows, limits)
                if frame.empty:
                    frame, suite = _stale(offline, until), [_fresh(until, limits)]
                # A view that never had a row has nothing to write.
                reports.append(validate(f"{view.name}_online", frame, suite if len(frame) else [], results))
    finally:
        write_data_docs(results)
    return reports


@dataclass(frozen=True)
class _Rows:
    """The newest row of each sampled entity, none where all are past their ttl; of each column how far it
    ``moved`` (PSI) since the last training set ended, and which share of it was ``known`` then. Both are
    empty where nothing can be said.
    """

    frame: pd.DataFrame
    moved: dict[str, float]
    known: dict[str, float]


def _rows(
    offline: OfflineView, until: datetime, trained: datetime | None, limits: MaterializationLimits
) -> _Rows:
    view = offline.view
    newest = offline.recent(limits.rows, _SEED, until)
    frame = pd.DataFrame(newest.ids, columns=list(view.entities))
    frame[list(view.columns)] = newest.values
    frame["event_timestamp"] = newest.times_ms.astype("datetime64[ms]")
    frame[_VALUES] = frame[list(view.columns)].notna().sum(axis=1)
    if trained is None:
        return _Rows(frame, {}, {})
    before = offline.recent(limits.rows, _SEED, trained)
    if min(len(before), len(frame)) < limits.least_rows:
        return _Rows(frame, {}, {})
    reference = {name: Histogram.of(before.values[:, place]) for place, name in enumerate(view.columns)}
    moved = drift(reference, {name: frame[name].to_numpy() for name in view.columns})
    for name, index in moved.items():
        frame[_drift(name)] = index
    return _Rows(frame, moved, {name: 1 - histogram.shares[-1] for name, histogram in reference.items()})


def _suite(view: View, until: datetime, rows: _Rows, limits: MaterializationLimits) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        *value_ranges(view),
        gxe.ExpectColumnValuesToBeBetween(column=_VALUES, min_value=1),
        *(
            gxe.ExpectColumnProportionOfNonNullValuesToBeBetween(
                column=name, min_value=max(share - limits.missing, 0)
            )
            for name, share in rows.known.items()
        ),
        _fresh(until, limits),
        *(
            gxe.ExpectColumnMaxToBeBetween(column=_drift(name), max_value=limits.stability_index)
            for name in rows.moved
            if judged(name)
        ),
    ]


def _fresh(until: datetime, limits: MaterializationLimits) -> Any:
    import great_expectations.expectations as gxe

    oldest = (until.astimezone(UTC) - timedelta(hours=limits.age_hours)).replace(tzinfo=None)
    return gxe.ExpectColumnMaxToBeBetween(column="event_timestamp", min_value=oldest)


def _stale(offline: OfflineView, until: datetime) -> pd.DataFrame:
    """The moment of a view's newest row, which is past its ttl; empty where it has no row."""
    end_ms = offline.end_ms(until)
    moments = np.array([end_ms] if end_ms >= 0 else [], dtype=np.int64).astype("datetime64[ms]")
    return pd.DataFrame({"event_timestamp": moments})


def _drift(name: str) -> str:
    return f"stability index of {name}"
