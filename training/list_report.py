"""The figures of one order of later rows: of its lists, and of its rows, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from features.ranking_log import Candidates
from training.metrics import (
    Array,
    Codes,
    Interval,
    area_under_roc,
    average_precision,
    list_auc,
    mean_interval,
    ndcg,
    rankable,
    reciprocal_ranks,
    relative_cross_entropy,
    row_interval,
)

BESIDE = "all_rows_"
NO_FIGURE = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class OrderFigures:
    """``auc`` is the mean over lists where rows are shown together, else that of all rows.

    ``rce`` is NaN for scores that are no probabilities. ``all_rows``: AUC, AP and RCE with the rows that are
    not judged beside; empty where all are.
    """

    mrr: Interval
    ndcg_at_10: Interval
    auc: Interval
    ap: Interval
    rce: Interval
    all_rows: dict[str, Interval]

    def flat(self) -> dict[str, float | None]:
        """``name``, ``name_low`` and ``name_high`` of each; None where there is no figure."""
        figures = {name: getattr(self, name) for name in ("mrr", "ndcg_at_10", "auc", "ap", "rce")}
        figures |= {f"{BESIDE}{name}": interval for name, interval in self.all_rows.items()}
        flat: dict[str, float | None] = {}
        for name, interval in figures.items():
            for part, value in asdict(interval).items():
                key = name if part == "value" else f"{name}_{part}"
                flat[key] = float(value) if np.isfinite(value) else None
        return flat


def figures_of(rows: Candidates, scores: Array, probabilities: Array | None, seed: int) -> OrderFigures:
    """The figures of ``rows`` [n]: of lists in the order of ``scores``, of rows by their ``probabilities``.

    Where there are no probabilities of the label, rows are judged by the scores too.
    """
    kept = rows.judged
    judged = rows.where(kept)
    lists = np.unique(judged.list, return_inverse=True)[1].astype(np.int64)
    labels, ordered = judged.label, scores[kept]
    likely = None if probabilities is None else probabilities[kept]
    together = len(np.unique(judged.request)) < len(judged)
    figures = _of_rows(lists, labels, ordered, likely, seed)
    if together:
        some = rankable(lists, labels)
        figures["auc"] = mean_interval(list_auc(lists, labels, ordered)[some], seed)
    else:
        some = with_positives(lists, labels)
    beside = {}
    if not kept.all():
        every = np.unique(rows.list, return_inverse=True)[1].astype(np.int64)
        beside = _of_rows(every, rows.label, scores, probabilities, seed)
    return OrderFigures(
        mrr=mean_interval(reciprocal_ranks(lists, labels, ordered)[some], seed),
        ndcg_at_10=mean_interval(ndcg(lists, labels, ordered)[some], seed),
        auc=figures["auc"],
        ap=figures["ap"],
        rce=figures["rce"],
        all_rows=beside,
    )


def judged_lists(rows: Candidates) -> int:
    """How many lists of ``rows`` hold two judged rows or more and a positive among them."""
    judged = rows.where(rows.judged)
    lists = np.unique(judged.list, return_inverse=True)[1].astype(np.int64)
    return int(with_positives(lists, judged.label).sum())


def with_positives(lists: Codes, labels: Array) -> NDArray[np.bool_]:
    """Which lists hold two rows or more and a positive among them."""
    return (np.bincount(lists) >= 2) & (np.bincount(lists, weights=labels) > 0)


def comparison(title: str, orders: Mapping[str, OrderFigures]) -> Table:
    """A row per order, every figure with its interval."""
    figures = {"MRR": "mrr", "nDCG@10": "ndcg_at_10", "AUC": "auc", "AP": "ap", "RCE": "rce"}
    table = Table(title=title)
    table.add_column("order")
    for name in figures:
        table.add_column(name, justify="right")
    for name, order in orders.items():
        table.add_row(name, *(_shown(getattr(order, figure)) for figure in figures.values()))
        if order.all_rows:
            beside = (order.all_rows.get(figure, NO_FIGURE) for figure in figures.values())
            table.add_row(f"{name}, all rows", *(_shown(interval) for interval in beside), style="dim")
    return table


def _shown(interval: Interval) -> str:
    if not np.isfinite(interval.value):
        return "-"
    form = ".4f" if abs(interval.value) <= 1 else ".2f"
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _of_rows(
    lists: Codes, labels: Array, scores: Array, probabilities: Array | None, seed: int
) -> dict[str, Interval]:
    likely = scores if probabilities is None else probabilities
    return {
        "auc": row_interval(area_under_roc, lists, labels, likely, seed),
        "ap": row_interval(average_precision, lists, labels, likely, seed),
        "rce": NO_FIGURE
        if probabilities is None
        else row_interval(relative_cross_entropy, lists, labels, probabilities, seed),
    }
