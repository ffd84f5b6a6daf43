"""``tideline drift``."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stack.errors import UserError
from stack.moments import utc_or_now

if TYPE_CHECKING:
    from training.drift import DriftReport

METRICS = "drift.prom"


def drift(
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the examples; the settings' without it.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(help="Look at what was shown before this moment (UTC); now without it.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Where Prometheus reads the figures; beside the report without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the tables.")] = False,
) -> None:
    """Compare what was shown lately with what the champion was made on: features, their age, scores, labels.

    Writes drift.json and drift.prom under the quality folder, and exits 1 where a limit of the settings is
    passed. Before the first promotion there is nothing to compare with: it says so, and exits 0.
    """
    import tempfile

    import msgspec
    from prometheus_client import write_to_textfile

    from features.historical import training_frame
    from features.labelled_examples import label_window
    from ingestion.whole_files import write_whole
    from stack.offline_tables import offline_tables
    from training.bundle import Bundle
    from training.dataset import prepare
    from training.drift import REPORT_FILE, feature_ages, watch
    from training.drift import metrics as gauges
    from training.drift_reference import REFERENCE_FILE, DriftReference
    from training.settings import TrainingSettings
    from training.versions import opened

    settings = TrainingSettings() if namespace is None else TrainingSettings(namespace=namespace)
    with opened(settings.mlflow) as versions:
        champion = versions.champion()
    if champion is None:
        told = (
            f"{settings.mlflow.model_name} has no {settings.mlflow.alias} yet: there is nothing to compare."
        )
        typer.echo(json.dumps({"skipped": told}) if as_json else told)
        return
    with offline_tables(settings, "tideline drift", as_json):
        frame, window = training_frame(settings), label_window(settings)
        moment = utc_or_now(at)
        ages = feature_ages(settings, moment)
    examples = prepare(frame)
    with opened(settings.mlflow) as versions, tempfile.TemporaryDirectory() as folder:
        reference = msgspec.json.decode(versions.read_text(champion, REFERENCE_FILE), type=DriftReference)
        bundle = Bundle.load(versions.fetch(champion, Path(folder)))
    name = f"{settings.mlflow.model_name}@{champion}"
    report = watch(bundle, name, reference, examples, ages, moment, settings.drift, window.attribution)
    results = settings.features.quality / settings.namespace
    results.mkdir(parents=True, exist_ok=True)
    write_whole(results / REPORT_FILE, report.text())
    write_to_textfile(str(metrics or results / METRICS), gauges(report))
    failures = report.failures(settings.drift)
    if as_json:
        typer.echo(json.dumps({**json.loads(report.text()), "failures": failures}))
    else:
        _print(report)
    if failures:
        raise UserError(f"{name} meets other data than it was made on: {'; '.join(failures)}.")


def _print(report: DriftReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("feature", title=f"{report.rows:,} rows shown in {report.hours:g} h before {report.at}")
    table.add_column("stability index", justify="right")
    for name, index in report.features.items():
        table.add_row(name, f"{index:.3f}")
    if report.scores is not None:
        table.add_row(f"score of {report.model}", f"{report.scores:.3f}")
    labels = Table("label", title=f"{report.labelled:,} rows with complete labels")
    for title in ("rate", "in training"):
        labels.add_column(title, justify="right")
    for head, usual in report.reference_rates.items():
        rate = report.rates.get(head)
        labels.add_row(head, "too few rows" if rate is None else f"{rate:.4f}", f"{usual:.4f}")
    ages = Table("view", title="Age of the newest offline row")
    ages.add_column("hours", justify="right")
    for view, hours in report.ages.items():
        ages.add_row(view, f"{hours:.1f}")
    console = Console()
    for shown in (table, labels, ages):
        console.print(shown)
