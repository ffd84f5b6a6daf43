"""The plots of an evaluation on lists, as figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from training.list_report import OrderFigures
from training.list_slices import ListSlice


def order_quality(lists: int, orders: Mapping[str, OrderFigures]) -> Figure:
    """nDCG@10 of each order with its 95 % interval, the champion's first."""
    figure = Figure(figsize=(7, 4), layout="tight")
    axes = figure.add_subplot()
    found = [order.ndcg_at_10 for order in orders.values()]
    values = np.array([interval.value for interval in found])
    ends = np.array([[interval.low for interval in found], [interval.high for interval in found]])
    colours = ["tab:blue", *["lightgrey"] * (len(found) - 1)]
    axes.bar(range(len(found)), values, yerr=np.abs(ends - values), capsize=4, color=colours)
    axes.set_xticks(range(len(found)), list(orders), rotation=20)
    axes.set(ylabel="nDCG@10", title=f"{lists:,} lists of the test folder")
    return figure


def slice_differences(strongest: str, slices: Mapping[str, ListSlice]) -> Figure:
    """nDCG@10 of the champion less the baseline's by slice, with 95 % intervals; the worse ones are red."""
    figure = Figure(figsize=(8, 1.5 + 0.35 * len(slices)), layout="tight")
    axes = figure.add_subplot()
    for line, part in enumerate(slices.values()):
        lead = part.ndcg_at_10.difference
        ends = np.abs([[lead.value - lead.low], [lead.high - lead.value]])
        colour = "tab:red" if part.worse else "tab:blue"
        axes.errorbar(lead.value, line, xerr=ends, fmt="o", capsize=3, color=colour)
    axes.axvline(0, color="grey", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(slices)), [f"{name} ({part.lists:,} lists)" for name, part in slices.items()])
    axes.set(xlabel="nDCG@10", title=f"The champion's lead over {strongest} by slice")
    return figure
