"""``tideline features doctor``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stack.errors import UserError
from stack.moments import utc_ms, utc_or_now

if TYPE_CHECKING:
    from features.doctor import Example, ViewFindings


def doctor(
    sample: Annotated[int, typer.Option(min=1, help="Entities of a view, from each store.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Another one takes other entities.")] = 0,
    examples: Annotated[int, typer.Option(min=0, help="Differences shown of each view.")] = 3,
    at: Annotated[
        datetime | None, typer.Option(help="The moment against which rows age (UTC); now without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the table.")] = False,
) -> None:
    """Compare online rows with the newest offline ones; exit code 1 where something differs."""
    import redis

    from features.doctor import examine
    from features.settings import FeatureStoreSettings
    from stack.offline_tables import offline_tables

    settings = FeatureStoreSettings()
    try:
        with offline_tables(settings, "tideline features doctor", as_json):
            found = examine(settings, utc_ms(utc_or_now(at)), sample, seed, examples)
    except redis.RedisError as error:
        raise UserError(f"The online store does not answer ({error}).") from error
    if as_json:
        typer.echo(json.dumps({name: _as_json(findings) for name, findings in found.items()}))
    else:
        _print(found)
    if any(findings.amiss or findings.other_schema for findings in found.values()):
        raise typer.Exit(1)


def _print(found: dict[str, ViewFindings]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("view", "feature")
    for title in ("compared", "equal", "differing", "stale", "missing online", "missing offline"):
        table.add_column(title, justify="right")
    for name, findings in found.items():
        for feature, counts in findings.features.items():
            table.add_row(name, feature, *(f"{number:,}" for number in asdict(counts).values()))
    Console().print(table)
    for name, findings in found.items():
        newer = f", {findings.ahead:,} of them newer than anything offline" if findings.ahead else ""
        typer.echo(f"{name}: {findings.rows:,} rows{newer}.")
        if findings.other_schema:
            typer.echo(f"{name}: {findings.other_schema:,} online rows were written for another schema.")
        for example in findings.examples:
            typer.echo(f"  {example}")


def _as_json(findings: ViewFindings) -> dict[str, Any]:
    return asdict(findings) | {"examples": [_example(example) for example in findings.examples]}


def _example(example: Example) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(example).items()
    }
