"""The plots of an evaluation on lists, as figures."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from training.list_report import OrderFigures
from training.list_slices import ListSlice
from training.plots import by_slice, order_bars


def order_quality(lists: int, orders: Mapping[str, OrderFigures]) -> Figure:
    """nDCG@10 of each order with its 95 % interval, the champion's first."""
    found = {name: order.ndcg_at_10 for name, order in orders.items()}
    return order_bars(found, f"{lists:,} lists of the test folder")


def slice_differences(strongest: str, slices: Mapping[str, ListSlice]) -> Figure:
    """nDCG@10 of the champion less the baseline's by slice, with 95 % intervals; the worse ones are red."""
    figure, axes = by_slice(
        {
            f"{name} ({part.lists:,} lists)": (part.ndcg_at_10.difference, part.worse)
            for name, part in slices.items()
        }
    )
    axes.axvline(0, color="grey", linestyle="--", linewidth=1)
    axes.set(xlabel="nDCG@10", title=f"The champion's lead over {strongest} by slice")
    return figure
