"""The plots of a training run, and how figures become files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.bundle import Scores
from training.dataset import Examples
from training.evaluation import ModelReport
from training.metrics import Array, Interval
from training.slice_report import SliceFigures

BINS = 10


def write_plots(folder: Path, scores: Scores, test: Examples, report: ModelReport) -> list[Path]:
    """Reliability of all heads, and nDCG@10 beside the baselines."""
    labels = {head: test.labels(head) for head in scores.probabilities}
    return save(
        folder,
        {"reliability": reliability(labels, scores.probabilities), "ndcg": list_quality(report)},
    )


def save(folder: Path, figures: Mapping[str, Figure]) -> list[Path]:
    """Each figure as ``<name>.png`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        # A canvas of its own: no global pyplot state, no display.
        FigureCanvasAgg(figure).print_png(path)
        paths.append(path)
    return paths


def reliability(labels: Mapping[str, Array], probabilities: Mapping[str, Array]) -> Figure:
    """Rate seen against rate predicted, over equally full bins: on the diagonal is calibrated."""
    figure = Figure(figsize=(6, 6), layout="tight")
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
    found = {name: order.ndcg_10 for name, order in report.orders.items()}
    return order_bars(found, f"{report.lists} lists of the test part")


def order_bars(orders: Mapping[str, Interval], title: str) -> Figure:
    """nDCG@10 of each order with its 95 % interval, the first of them in blue."""
    figure = Figure(figsize=(7, 4), layout="tight")
    axes = figure.add_subplot()
    values = np.array([order.value for order in orders.values()])
    ends = np.array([[order.low for order in orders.values()], [order.high for order in orders.values()]])
    colours = ["tab:blue", *["lightgrey"] * (len(orders) - 1)]
    axes.bar(range(len(orders)), values, yerr=np.abs(ends - values), capsize=4, color=colours)
    axes.set_xticks(range(len(orders)), list(orders), rotation=20)
    axes.set(ylabel="nDCG@10", title=title)
    return figure


def slice_quality(slices: Sequence[SliceFigures]) -> Figure:
    """RCE of one head on each slice with 95 % intervals, and on all rows; the weak ones are red."""
    figure, axes = by_slice({f"{part.slice} ({part.rows:,})": (part.rce, part.weak) for part in slices})
    for part in slices[:1]:
        axes.axvline(part.overall, color="grey", linestyle="--", linewidth=1)
        axes.set_title(f"RCE of {part.head} by slice")
    axes.set_xlabel("RCE; dashed on all rows")
    return figure


def by_slice(slices: Mapping[str, tuple[Interval, bool]]) -> tuple[Figure, Axes]:
    """A line for each slice by its label: a figure with its 95 % interval, red where it is a weak one."""
    figure = Figure(figsize=(8, 1.5 + 0.35 * len(slices)), layout="tight")
    axes = figure.add_subplot()
    for line, (found, weak) in enumerate(slices.values()):
        ends = np.abs([[found.value - found.low], [found.high - found.value]])
        colour = "tab:red" if weak else "tab:blue"
        axes.errorbar(found.value, line, xerr=ends, fmt="o", capsize=3, color=colour)
    axes.set_yticks(range(len(slices)), list(slices))
    return figure, axes
