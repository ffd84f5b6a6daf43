"""The report of an experiment: what came of each arm, against the control, with guardrails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from serving.experiments.experiment import Experiment
from serving.experiments.statistics import (
    SampleRatio,
    concentration,
    difference,
    quantile,
    sample_ratio,
)
from training.estimates import Estimate, rate

HARMS = ("hidden", "reported")
LATENCY, LATENCY_AT = "latency_p99_ms", 0.99
CONCENTRATION = "author_concentration"
GUARDRAILS = (*HARMS, LATENCY, CONCENTRATION)
"""Figures of which less is better."""


@dataclass(frozen=True)
class Comparison:
    """A figure of one arm, and how it differs from the control's; None for the control.

    ``breached``: a guardrail, of which less is better, is above the control's by more than chance.
    """

    metric: str
    arm: str
    estimate: Estimate
    difference: Estimate | None
    breached: bool


@dataclass(frozen=True)
class Report:
    """``strays``: readers who were served another arm than theirs; they are left out of everything else."""

    readers: Mapping[str, int]
    strays: int
    split: SampleRatio
    comparisons: Sequence[Comparison]

    @property
    def breached(self) -> list[Comparison]:
        return [comparison for comparison in self.comparisons if comparison.breached]


def report(
    experiment: Experiment, impressions: pd.DataFrame, requests: pd.DataFrame, outcomes: Sequence[str]
) -> Report:
    """What the arms of an experiment came to.

    Args:
        experiment: whose arms are compared; rows of other arms are strays.
        impressions: one row per shown item: ``arm``, ``user_id``, ``author_id``, ``hidden`` and ``reported``
            (0 or 1), and a column of 0 or 1 for each of the outcomes.
        requests: one row per served page: ``arm``, ``user_id``, ``latency_ms``, NaN where it is not known.
        outcomes: columns of engagement, of which more is better.
    """
    strays = _strays(experiment, impressions, requests)
    shown = impressions[~impressions["user_id"].isin(strays)]
    served = requests[~requests["user_id"].isin(strays)]
    figures, readers = {}, {}
    for arm in experiment.arms:
        pages = served[served["arm"] == arm.name]
        readers[arm.name] = int(pages["user_id"].nunique())
        figures[arm.name] = _figures(shown[shown["arm"] == arm.name], pages, outcomes)
    control = figures[experiment.control.name]
    comparisons = [
        _compared(
            metric,
            arm.name,
            figures[arm.name][metric],
            None if arm is experiment.control else control[metric],
        )
        for metric in control
        for arm in experiment.arms
    ]
    weights = {arm.name: arm.weight for arm in experiment.arms}
    return Report(readers, len(strays), sample_ratio(readers, weights), comparisons)


def _figures(
    impressions: pd.DataFrame, requests: pd.DataFrame, outcomes: Sequence[str]
) -> dict[str, Estimate]:
    """Every metric of one arm, outcomes first."""
    columns = [*outcomes, *HARMS]
    by_reader = impressions.assign(shown=1).groupby("user_id")[["shown", *columns]].sum().astype(np.float64)
    shown = by_reader["shown"].to_numpy()
    measured = requests[requests["latency_ms"].notna()]
    return {
        **{column: rate(by_reader[column].to_numpy(), shown) for column in columns},
        LATENCY: quantile(
            measured["latency_ms"].to_numpy(np.float64), measured["user_id"].to_numpy(np.int64), LATENCY_AT
        ),
        CONCENTRATION: concentration(
            impressions["user_id"].to_numpy(np.int64), impressions["author_id"].to_numpy(np.int64)
        ),
    }


def _compared(metric: str, arm: str, estimate: Estimate, control: Estimate | None) -> Comparison:
    if control is None:
        return Comparison(metric, arm, estimate, None, False)
    more = difference(estimate, control)
    return Comparison(metric, arm, estimate, more, metric in GUARDRAILS and more.low > 0)


def _strays(experiment: Experiment, *frames: pd.DataFrame) -> list[int]:
    served = pd.concat([frame[["user_id", "arm"]] for frame in frames]).drop_duplicates()
    theirs = {user: experiment.arm_of(user).name for user in served["user_id"].unique().tolist()}
    return sorted(set(served["user_id"][served["arm"] != served["user_id"].map(theirs)].tolist()))


def lines(result: Report) -> list[str]:
    """The report as a person reads it."""
    split = "as weighted" if result.split.holds else "NOT as weighted: do not trust what follows"
    text = [
        "readers      "
        + " · ".join(
            f"{arm} {count:,} (expected {result.split.expected.get(arm, 0):,.0f})"
            for arm, count in result.readers.items()
        ),
        f"split        {split} (p = {result.split.p_value:.3g}) · {result.strays} strays left out",
    ]
    for row in result.comparisons:
        against = (
            "control" if row.difference is None else f"{_interval(row.difference, '+')} against the control"
        )
        text.append(
            f"{row.metric:<21}{row.arm:<16}{_interval(row.estimate)} · {against}"
            + (" · GUARDRAIL BREACHED" if row.breached else "")
        )
    return text


def shape(result: Report) -> dict[str, Any]:
    """The report as JSON has it; what is not known is null."""
    return {
        "readers": dict(result.readers),
        "strays": result.strays,
        "split": {
            "expected": dict(result.split.expected),
            "p_value": result.split.p_value,
            "holds": result.split.holds,
        },
        "metrics": [
            {
                "metric": row.metric,
                "arm": row.arm,
                "estimate": _bounds(row.estimate),
                "difference": None if row.difference is None else _bounds(row.difference),
                "guardrail": row.metric in GUARDRAILS,
                "breached": row.breached,
            }
            for row in result.comparisons
        ],
    }


def _bounds(estimate: Estimate) -> dict[str, float] | None:
    if math.isnan(estimate.value):
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _interval(estimate: Estimate, sign: str = "") -> str:
    if math.isnan(estimate.value):
        return "unknown"
    return f"{estimate.value:{sign}.4g} ({estimate.low:{sign}.4g} to {estimate.high:{sign}.4g})"
