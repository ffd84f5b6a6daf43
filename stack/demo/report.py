"""What one run of the demo measured: a table for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ingestion.whole_files import write_whole
from stack.demo.probe import Quantiles

REPORT_FILE = "demo-report.json"


@dataclass
class DemoReport:
    """Filled step by step; what a run did not measure stays None and is printed as such.

    ``step_seconds`` has one entry per step, in order. ``model`` holds the metrics of the champion and the
    baselines on the time split. Memory is resident, in MiB.
    """

    dataset: str
    step_seconds: dict[str, float] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    events_per_second: float | None = None
    catch_up_seconds: float | None = None
    lag: dict[str, int] = field(default_factory=dict)
    home_timelines: int | None = None
    deliveries: int | None = None
    pulled_authors: int | None = None
    feature_rows: dict[str, int] = field(default_factory=dict)
    examples: int | None = None
    model: dict[str, Any] | None = None
    model_note: str | None = None
    rung: str | None = None
    rung_reason: str | None = None
    trends: int | None = None
    post_to_feed_seconds: float | None = None
    like_to_count_seconds: float | None = None
    freshness: Quantiles | None = None
    feed_ranked: Quantiles | None = None
    feed_chronological: Quantiles | None = None
    verify: dict[str, int] | None = None
    memory_mb: dict[str, float] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def write(self, home: Path) -> Path:
        """Replaces ``demo-report.json`` in ``home`` as a whole."""
        path = home / REPORT_FILE
        write_whole(path, json.dumps(asdict(self), indent=2) + "\n")
        return path

    def print(self, console: Console) -> None:
        table = Table(title=f"Tideline demo on {self.dataset}", show_header=False, title_justify="left")
        table.add_column(style="bold")
        table.add_column()
        for name, value in self._rows():
            if value:
                table.add_row(name, value)
        console.print(table)

    def _rows(self) -> list[tuple[str, str | None]]:
        return [
            ("steps", _pairs(self.step_seconds, " s")),
            ("events in", _events(self.events, self.events_per_second)),
            ("jobs caught up", _seconds(self.catch_up_seconds)),
            ("lag", _pairs(self.lag)),
            ("home timelines", _count(self.home_timelines)),
            ("entries delivered", _count(self.deliveries)),
            ("pulled authors", _count(self.pulled_authors)),
            ("feature rows", _pairs(self.feature_rows)),
            ("training examples", _count(self.examples)),
            ("model", self.model_note or _model(self.model)),
            ("feed", f"{self.rung} ({self.rung_reason})" if self.rung_reason else self.rung),
            ("trending terms, world, 24 h", _count(self.trends)),
            ("tweet to follower's feed", _seconds(self.post_to_feed_seconds)),
            ("like to count", _seconds(self.like_to_count_seconds)),
            ("freshness", _quantiles(self.freshness)),
            ("ranked feed", _quantiles(self.feed_ranked)),
            ("chronological feed", _quantiles(self.feed_chronological)),
            ("verify", _pairs(self.verify or {})),
            ("memory, MiB", _pairs(self.memory_mb)),
            ("addresses", "\n".join(f"{name:8} {url}" for name, url in self.addresses.items())),
        ]


def _pairs(values: dict[str, Any], unit: str = "") -> str:
    def text(value: Any) -> str:
        return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"

    return " · ".join(f"{name} {text(value)}{unit}" for name, value in values.items())


def _events(events: dict[str, int], per_second: float | None) -> str | None:
    if not events:
        return None
    speed = f" at {per_second:,.0f}/s" if per_second else ""
    return f"{sum(events.values()):,}{speed}: {_pairs(events)}"


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f} s"


def _quantiles(value: Quantiles | None) -> str | None:
    if value is None:
        return None
    return f"p50 {value.p50_ms} ms · p99 {value.p99_ms} ms ({value.samples} samples)"


def _model(model: dict[str, Any] | None) -> str | None:
    """The champion or the refusal, each order's nDCG@10 and MRR, each head's AP and RCE."""
    if model is None:
        return None
    metrics = model["metrics"]
    lines = [model["model"] or f"refused: {model['refusal']}"]
    orders = [name.removesuffix(".ndcg_10") for name in metrics if name.endswith(".ndcg_10")]
    for order in (name for name in orders if not name.startswith("model_over_")):
        lines.append(
            f"{order:16} nDCG@10 {metrics[f'{order}.ndcg_10']:.4f} · MRR {metrics[f'{order}.mrr']:.4f}"
        )
    for head in (name.removesuffix(".auc") for name in metrics if name.endswith(".auc")):
        lines.append(f"{head:16} AP {metrics[f'{head}.ap']:.4f} · RCE {metrics[f'{head}.rce']:.2f}")
    return "\n".join(lines)
