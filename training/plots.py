"""The plots of a training run, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.bundle import Bundle, Scores
from training.dataset import Examples
from training.evaluation import ModelReport
from training.metrics import Array

BINS = 10
TOP = 20


def write_plots(
    folder: Path, bundle: Bundle, scores: Scores, test: Examples, report: ModelReport
) -> list[Path]:
    """Reliability per head, nDCG@10 beside the baselines, and feature importance per head."""
    labels = {head: test.labels(head) for head in scores.probabilities}
    figures = {
        "reliability": reliability(labels, scores.probabilities),
        "ndcg": list_quality(report),
        "importance": importance(bundle),
    }
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        # A canvas of its own: no global pyplot state, no display.
        FigureCanvasAgg(figure).print_png(path)
        paths.append(path)
    return paths


def reliability(labels: Mapping[str, Array], probabilities: Mapping[str, Array]) -> Figure:
    """Rate seen against rate predicted, over equally full bins: on the diagonal is calibrated."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    for head, seen in labels.items():
        parts = np.array_split(np.argsort(probabilities[head], kind="stable"), BINS)
        x = [float(probabilities[head][part].mean()) for part in parts if len(part)]
        y = [float(seen[part].mean()) for part in parts if len(part)]
        axes.plot(x, y, marker="o", label=head)
    axes.axline((0, 0), slope=1, color="grey", linestyle="--", linewidth=1)
    axes.set(xlabel="predicted", ylabel="seen", title="Reliability on the test part")
    axes.legend()
    return figure


def list_quality(report: ModelReport) -> Figure:
    """nDCG@10 of the model, each baseline and each alternative, with 95 % intervals."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    orders = report.orders
    values = np.array([order.ndcg_10.value for order in orders.values()])
    low = np.array([order.ndcg_10.low for order in orders.values()])
    high = np.array([order.ndcg_10.high for order in orders.values()])
    axes.bar(
        range(len(orders)),
        values,
        yerr=np.abs(np.stack([values - low, high - values])),
        capsize=4,
        color=["tab:blue", *["lightgrey"] * (len(orders) - 1)],
    )
    axes.set_xticks(range(len(orders)), list(orders), rotation=20)
    axes.set(ylabel="nDCG@10", title=f"{report.lists} lists of the test part")
    return figure


def importance(bundle: Bundle) -> Figure:
    """Each head's strongest features by their total gain, as shares."""
    figure = Figure(figsize=(6 * len(bundle.boosters), 6), layout="constrained")
    for index, (head, booster) in enumerate(bundle.boosters.items(), start=1):
        axes = figure.add_subplot(1, len(bundle.boosters), index)
        gains = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
        top = np.argsort(gains)[-TOP:]
        axes.barh([bundle.features[column] for column in top], gains[top] / max(gains.sum(), 1e-12))
        axes.set(title=head, xlabel="share of gain")
    return figure
