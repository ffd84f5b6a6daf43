"""The plot of a loop: what each arm brought day by day, and how far the champion leads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from stack.closed_loop.outcomes import Figure
from stack.closed_loop.plan import ARMS, CHAMPION, CHRONOLOGICAL, FIRST
from stack.closed_loop.report import Report

COLOURS = {CHRONOLOGICAL: "tab:gray", FIRST: "tab:orange", CHAMPION: "tab:blue"}


def write_plot(path: Path, found: Report) -> None:
    """Two panels as a PNG file: arms by day, and leads beside a line at zero."""
    canvas = Canvas(figsize=(11, 5), layout="constrained")
    by_day, leads = canvas.subplots(1, 2, width_ratios=(3, 2))
    _arms(by_day, found)
    _leads(leads, found)
    # A canvas of its own: no global pyplot state, no display.
    FigureCanvasAgg(canvas).print_png(path)


def _arms(axes: Axes, found: Report) -> None:
    for place, arm in enumerate(ARMS):
        rows = [row for row in found.days if row.arm == arm]
        days = [row.day + 0.08 * (place - 1) for row in rows]
        _bars(axes, days, [row.engaged for row in rows], COLOURS[arm], arm, upright=True)
    serving = {1: None, **{night.day + 1: night.champion for night in found.nights}}
    axes.set_xticks(list(serving), [f"day {day}\n{_version(model)}" for day, model in serving.items()])
    axes.set(
        xlabel="and the champion's model",
        ylabel="engagements per session",
        title="What readers did, by arm (95 % intervals)",
    )
    axes.set_ylim(bottom=0)
    axes.legend()


def _leads(axes: Axes, found: Report) -> None:
    labels: list[str] = []
    shown = [(f"over {of.over}", of) for of in found.leads]
    shown += [("same model", found.control)] if found.control else []
    for over, of in shown:
        kinds = (("as logged", of.engaged), ("adjusted", of.adjusted), ("paired, expected", of.expected))
        for kind, figure in kinds:
            colour = "black" if of is found.control else COLOURS[of.over]
            _bars(axes, [float(len(labels))], [figure], colour, None, upright=False)
            labels.append(f"{over},\n{kind}")
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="engagements per session", title="The champion's lead")


def _bars(
    axes: Axes, places: list[float], figures: list[Figure], colour: str, label: str | None, upright: bool
) -> None:
    values = np.array([figure.value for figure in figures])
    spread = np.abs(np.array([[f.value - f.low for f in figures], [f.high - f.value for f in figures]]))
    style = {"fmt": "o-" if upright else "o", "color": colour, "capsize": 4, "label": label}
    if upright:
        axes.errorbar(places, values, yerr=spread, **style)
    else:
        axes.errorbar(values, places, xerr=spread, **style)


def _version(model: str | None) -> str:
    return "no model" if model is None else f"version {model.rpartition('@')[2]}"
