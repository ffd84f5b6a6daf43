"""Models compared with their baselines and with each other, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from training.disagreement import QUANTILES, DisputedList, Spread
from training.evaluation import ModelReport
from training.gate import title
from training.metrics import Interval
from training.paired import Paired
from training.side_by_side import SideBySide

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


def beside(found: SideBySide) -> Group:
    """Two versions: metrics with the paired difference, slices where the first is worse, order and cost.

    And how their scores are spread, and the lists that they order most unlike.
    """
    versions, comparison, costs = found.versions, found.comparison, found.costs
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
    if comparison.lacking:
        shown.append(f"Version {first} has no head {', '.join(comparison.lacking)}.")
    shown.append(_spread_table(versions, found.spreads))
    return Group(*shown, *(_disputed(versions, part) for part in found.disputed))


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


def _spread_table(versions: Sequence[str], spreads: Mapping[str, Spread]) -> Table:
    table = Table("", "version", title="Scores and probabilities")
    for quantile in QUANTILES:
        table.add_column(f"{quantile:.0%}", justify="right")
    for name, spread in spreads.items():
        table.add_row(name, versions[0], *(f"{value:.4f}" for value in spread.first))
        table.add_row("", versions[1], *(f"{value:.4f}" for value in spread.second), end_section=True)
    return table


def _disputed(versions: Sequence[str], part: DisputedList) -> Table:
    """One list: what moved, and what features add to its score in either version, less the list's mean."""
    table = Table(title=f"Disputed: list {part.request} of reader {part.reader}, {part.items} items")
    table.add_column("what moved, and what adds to its score")
    for column in ("value", f"in {versions[0]}", f"in {versions[1]}"):
        table.add_column(column, justify="right")
    for item in part.moved:
        first, second = (f"place {place + 1}" for place in item.places)
        table.add_row(f"tweet {item.tweet}", "", first, second)
        table.add_row(f"its reader: {', '.join(item.labels) or 'nothing'}", "", "", "")
        for reason in item.reasons:
            table.add_row(
                f"  {reason.feature}", _value(reason.value), f"{reason.first:+.4f}", f"{reason.second:+.4f}"
            )
        table.add_section()
    return table


def _value(value: float | None) -> str:
    return "missing" if value is None else f"{value:.4g}"


def _shown(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"
