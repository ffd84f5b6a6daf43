"""The plots of one head, as figures."""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.bundle import Matrix
from training.metrics import Array

TOP = 20
SHOWN_ROWS = 500
"""So many rows are dots of a SHAP summary."""


def shown_rows(count: int) -> NDArray[np.int64]:
    """The places of at most ``SHOWN_ROWS`` of so many rows, spread over them."""
    return np.unique(np.linspace(0, count - 1, min(SHOWN_ROWS, count)).astype(np.int64))


def gains(head: str, labels: Array, probabilities: Array) -> Figure:
    """Cumulative gains: the share of all positives among the rows that are scored highest."""
    figure = Figure(figsize=(6, 5), layout="tight")
    axes = figure.add_subplot()
    shown = np.arange(1, len(labels) + 1) / len(labels)
    positives = labels.sum()
    for order, name, colour in ((-probabilities, head, "tab:blue"), (-labels, "perfect", "lightgrey")):
        found = np.cumsum(labels[np.argsort(order, kind="stable")]) / positives
        axes.plot(shown, found, label=name, color=colour)
    axes.plot([0, 1], [0, 1], label="by chance", color="grey", linestyle="--", linewidth=1)
    axes.set(xlabel="share of rows", ylabel=f"share of those {head}", title=f"Cumulative gains of {head}")
    axes.legend()
    return figure


def importance(head: str, *boosters: lightgbm.Booster) -> Figure:
    """The strongest features by their total gain in boosters of the same features, as shares."""
    figure = Figure(figsize=(7, 6), layout="tight")
    axes = figure.add_subplot()
    found = np.sum([booster.feature_importance("gain") for booster in boosters], axis=0, dtype=np.float64)
    top = np.argsort(found, kind="stable")[-TOP:]
    names = boosters[0].feature_name()
    axes.barh([names[column] for column in top], found[top] / max(found.sum(), 1e-12))
    axes.set(title=f"Importance in {head}", xlabel="share of gain in the trees")
    return figure


def shap_summary(head: str, features: Sequence[str], matrix: Matrix, contributions: Array) -> Figure:
    """A dot for each row and feature: what the feature adds to the log-odds, coloured by its value's rank.

    Args:
        matrix: float32 [n, features]; a missing value is grey.
        contributions: float64 [n, features], exact SHAP values.
    """
    figure = Figure(figsize=(8, 7), layout="tight")
    axes = figure.add_subplot()
    top = np.argsort(np.abs(contributions).mean(axis=0), kind="stable")[-TOP:]
    spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(matrix))
    ranks = np.stack([_ranks(matrix[:, column]) for column in top])
    lines = np.arange(len(top))[:, None] + spread
    dots = axes.scatter(
        contributions[:, top].T.ravel(),
        lines.ravel(),
        s=5,
        c=ranks.ravel(),
        cmap=colormaps["coolwarm"].with_extremes(bad="lightgrey"),
        plotnonfinite=True,
    )
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(range(len(top)), [features[column] for column in top])
    axes.set(title=f"What features add to {head}", xlabel="log-odds")
    figure.colorbar(dots, label="rank of the feature's value")
    return figure


def _ranks(values: Matrix) -> Array:
    """From 0, the lowest value, to 1; equal values are as high as their highest, and NaN stays NaN."""
    known = np.sort(values[~np.isnan(values)])
    ranks = np.searchsorted(known, values, side="right") / max(len(known), 1)
    return np.where(np.isnan(values), np.nan, ranks)
