"""The comparison of a model with its baselines, as tables for the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from training.evaluation import ModelReport
from training.metrics import Interval


def comparison(report: ModelReport) -> Group:
    """One table of orders (nDCG@10, MRR), one of heads (AP, RCE, AUC, calibration), with 95 % intervals."""
    orders = Table(title=f"Order of {report.lists} later lists")
    for column in ("order", "nDCG@10", "MRR", "model's lead in nDCG@10"):
        orders.add_column(column, justify="left" if column == "order" else "right")
    for name, order in {"model": report.model, **report.baselines}.items():
        lead = "" if name == "model" else _shown(order.gain, "+.4f")
        orders.add_row(name, _shown(order.ndcg_10, ".4f"), _shown(order.mrr, ".4f"), lead)
    heads = Table(title="Heads on the same part")
    for column in ("head", "rows", "base rate", "AP", "RCE", "AUC", "calibration error"):
        heads.add_column(column, justify="left" if column == "head" else "right")
    for name, head in report.heads.items():
        heads.add_row(
            name,
            f"{head.rows:,}",
            f"{head.base_rate:.4f}",
            _shown(head.ap, ".4f"),
            _shown(head.rce, ".2f"),
            f"{head.auc:.4f}",
            f"{head.calibration_error:.4f}",
        )
    return Group(orders, heads)


def _shown(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"
