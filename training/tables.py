"""Models compared with their baselines and with each other, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from training.bundle import ScoringCost
from training.comparison import Comparison
from training.evaluation import ModelReport
from training.gate import title
from training.metrics import Interval
from training.paired import Paired

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def comparison(report: ModelReport) -> Group:
    """One table of orders (nDCG@10, MRR), one of heads (AP, RCE, AUC, calibration), with 95 % intervals."""
    orders = Table(title=f"Order of {report.lists} later lists")
    for column in ("order", "nDCG@10", "MRR", "model's lead in nDCG@10"):
        orders.add_column(column, justify="left" if column == "order" else "right")
    for name, order in report.orders.items():
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


def side_by_side(versions: Sequence[str], comparison: Comparison, costs: Sequence[ScoringCost]) -> Group:
    """Two versions: metrics with the paired difference, slices where the first is worse, order and cost."""
    first, second = versions
    metrics = _paired_table(
        f"Versions {first} and {second} on {comparison.lists} lists of {comparison.readers} readers",
        versions,
        {title(name): paired for name, paired in comparison.metrics.items()},
    )
    order = Table("", first, second, title="Order and cost")
    order.add_row("correlation of scores (Spearman)", "", f"{comparison.rank_correlation:.3f}")
    order.add_row("share of the first ten in common", "", f"{comparison.top_10_overlap:.3f}")
    order.add_row("ms a page", *(f"{cost.page_ms:.2f}" for cost in costs))
    order.add_row("ratio to one plain head", *(f"{cost.ratio:.2f}" for cost in costs))
    shown: list[RenderableType] = [metrics, order]
    if comparison.worse:
        worse = {f"RCE of {name}": paired for name, paired in comparison.worse.items()}
        shown.insert(1, _paired_table(f"Where {first} is worse", versions, worse))
    else:
        shown.append(f"Version {first} is worse in no slice.")
    return Group(*shown)


def versions_table(name: str, aliases: Mapping[str, str], versions: Sequence[ModelVersion]) -> Table:
    """The versions with their aliases and what the gate said."""
    table = Table("version", "aliases", "gate", "at", title=name)
    for version in versions:
        number = str(version.version)
        held = ", ".join(sorted(alias for alias, of in aliases.items() if of == number))
        table.add_row(number, held, version.tags.get("gate", ""), version.tags.get("gate.at", ""))
    return table


def _paired_table(name: str, versions: Sequence[str], rows: Mapping[str, Paired]) -> Table:
    table = Table("metric", title=name)
    for column in (*versions, f"{versions[0]} less {versions[1]}"):
        table.add_column(column, justify="right")
    for row, paired in rows.items():
        table.add_row(
            row,
            _shown(paired.first, ".4f"),
            _shown(paired.second, ".4f"),
            _shown(paired.difference, "+.4f"),
        )
    return table


def _shown(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"
