"""Whether what is served is still like what the model was made on: features, their age, scores and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge

from features.drift import drift, judged, stability_index
from features.names import MODEL_INPUT, VIEWS
from features.offline_rows import OfflineView
from features.settings import HasFeatureStore
from features.store import offline_folder
from training.bundle import Bundle
from training.dataset import Examples
from training.drift_reference import DriftReference
from training.settings import DriftSettings

REPORT_FILE = "drift.json"


@dataclass(frozen=True)
class DriftReport:
    """What was found at a moment of the ``rows`` shown in the last ``hours`` up to it.

    ``features`` and ``scores`` are stability indices, ``rates`` shares of positive labels among the
    ``labelled`` rows shown an attribution window earlier, whose labels are complete, ``ages`` hours since the
    newest offline row of each view. What there were too few rows for is empty or None.
    """

    model: str
    at: str
    hours: float
    rows: int
    labelled: int
    features: Mapping[str, float]
    scores: float | None
    rates: Mapping[str, float]
    reference_rates: Mapping[str, float]
    ages: Mapping[str, float]

    def failures(self, limits: DriftSettings) -> list[str]:
        """What is above a limit, one clause each."""
        found = [
            f"{name} has moved by {index:.2f}, above {limits.stability_index:g}"
            for name, index in self.features.items()
            if judged(name) and not index <= limits.stability_index
        ]
        if self.scores is not None and not self.scores <= limits.stability_index:
            found.append(f"the scores have moved by {self.scores:.2f}, above {limits.stability_index:g}")
        for head, rate in self.rates.items():
            usual = self.reference_rates[head]
            if not usual / limits.rate_ratio <= rate <= usual * limits.rate_ratio:
                found.append(f"{rate:.2%} of the rows are {head}, where {usual:.2%} were")
        return found + [
            f"the newest row of {view} is {hours:.1f} h old, above {limits.age_hours:g}"
            for view, hours in self.ages.items()
            if not hours <= limits.age_hours
        ]

    def text(self) -> str:
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()


def watch(
    bundle: Bundle,
    model: str,
    reference: DriftReference,
    examples: Examples,
    ages: Mapping[str, float],
    at: datetime,
    limits: DriftSettings,
    attribution: timedelta,
) -> DriftReport:
    """The rows of ``examples`` shown before ``at`` beside what the model was made on; labels are looked at of
    those shown ``attribution`` earlier.

    Scores are the model's own on the rows' features, without what the policy of a page makes of them.
    """
    times = examples.frame["event_timestamp"]
    span = timedelta(hours=limits.hours)
    recent = _between(examples, times, at - span, at)
    labelled = _between(examples, times, at - attribution - span, at - attribution)
    features: dict[str, float] = {}
    scores, rates = None, {}
    if len(recent) >= limits.least_rows:
        matrix = recent.matrix
        columns: dict[str, NDArray[np.float32]] = {
            name: matrix[:, place] for place, name in enumerate(MODEL_INPUT)
        }
        features = drift(reference.features, columns)
        scores = stability_index(reference.scores, reference.scores.again(bundle.score(matrix).score))
    if len(labelled) >= limits.least_rows:
        rates = {head: float(labelled.labels(head).mean()) for head in reference.rates}
    return DriftReport(
        model=model,
        at=at.isoformat(),
        hours=limits.hours,
        rows=len(recent),
        labelled=len(labelled),
        features=features,
        scores=scores,
        rates=rates,
        reference_rates=dict(reference.rates),
        ages=dict(ages),
    )


def feature_ages(settings: HasFeatureStore, moment: datetime) -> dict[str, float]:
    """Hours from the newest offline row of each view that has any to ``moment``."""
    ages = {}
    for view in VIEWS:
        end_ms = OfflineView(offline_folder(settings) / view.name, view).end_ms()
        if end_ms >= 0:
            ages[view.name] = (moment.timestamp() - end_ms / 1000) / 3600
    return ages


def metrics(report: DriftReport) -> CollectorRegistry:
    """The report as gauges, for a Prometheus that reads text files (node_exporter's textfile collector)."""
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, values: Mapping[str, float], label: str) -> None:
        made = Gauge(f"tideline_drift_{name}", meaning, (label,), registry=registry)
        for key, value in values.items():
            made.labels(key).set(value)

    gauge("feature_stability_index", "PSI of a feature since training.", report.features, "feature")
    gauge(
        "feature_age_seconds",
        "Seconds since the newest offline row of a view.",
        {view: hours * 3600 for view, hours in report.ages.items()},
        "view",
    )
    gauge("label_rate", "Share of positive labels.", report.rates, "head")
    gauge("label_rate_in_training", "Share of positive labels in training.", report.reference_rates, "head")
    plain = [
        ("rows", "Rows that were looked at.", float(report.rows)),
        (
            "at_seconds",
            "When drift was looked for, Unix time.",
            datetime.fromisoformat(report.at).timestamp(),
        ),
    ]
    if report.scores is not None:
        plain.append(("score_stability_index", "PSI of the model's scores since validation.", report.scores))
    for name, meaning, value in plain:
        Gauge(f"tideline_drift_{name}", meaning, registry=registry).set(value)
    return registry


def _between(
    examples: Examples, times: pd.Series[pd.Timestamp], since: datetime, until: datetime
) -> Examples:
    kept = (times >= pd.Timestamp(since)) & (times < pd.Timestamp(until))
    return Examples(examples.frame[kept].reset_index(drop=True))
