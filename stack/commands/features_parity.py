"""``tideline features parity``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stack.errors import UserError

if TYPE_CHECKING:
    from features.parity import ParityReport


def parity(
    version: Annotated[
        str | None,
        typer.Option(help="Record the outcome with this version of the model, a number or an alias."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the table.")] = False,
) -> None:
    """Compare the features logged at serving with the offline ones of the same moment.

    Exits 1 where a feature is above the limits of the settings (features.parity).
    """
    from features.served_features import parity as compare
    from stack.offline_tables import offline_tables
    from training.checks import parity_check
    from training.settings import TrainingSettings
    from training.versions import opened

    settings = TrainingSettings()
    limits = settings.features.parity
    with offline_tables(settings, "tideline features parity", as_json):
        report = compare(settings)
    if report is None:
        raise UserError(
            "No example has features logged at serving: serve pages with a model, then run "
            "`tideline features build`."
        )
    check = parity_check(report, limits)
    if version is not None:
        with opened(settings.mlflow) as versions:
            versions.record_check(versions.resolve(version), check)
    if as_json:
        features = [asdict(feature) | {"share_equal": feature.share_equal} for feature in report.features]
        typer.echo(
            json.dumps(
                {
                    "rows": report.rows,
                    "features": features,
                    "limits": limits.model_dump(),
                    "failures": report.failures(limits),
                }
            )
        )
    else:
        _print(report)
        typer.echo(f"{'Passed' if check.passed else 'Failed'}: {check.detail}.")
    if not check.passed:
        raise typer.Exit(1)


def _print(report: ParityReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("feature", title=f"{report.rows:,} rows as served and as the offline store has them")
    for title in (
        "compared",
        "equal",
        "as materialized",
        "differing",
        "missing in the log",
        "missing offline",
        "largest difference",
    ):
        table.add_column(title, justify="right")
    for feature in report.features:
        table.add_row(
            feature.name,
            f"{feature.compared:,}",
            f"{feature.share_equal:.2%}",
            *(
                f"{count:,}"
                for count in (
                    feature.as_materialized,
                    feature.differing,
                    feature.missing_logged,
                    feature.missing_offline,
                )
            ),
            f"{feature.largest_difference:g}",
        )
    Console().print(table)
