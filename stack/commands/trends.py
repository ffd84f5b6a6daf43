"""``tideline trends``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

app = typer.Typer(help="The analysts' table of trends.", no_args_is_help=True)


@app.command()
def compact() -> None:
    """Make one file of each day's many; what the table says stays the same."""
    from pipelines.settings import StreamSettings
    from pipelines.trends import table

    settings = StreamSettings()
    merged = table.compact(table.trends_folder(settings.lake.path, settings.namespace))
    for day, files in merged.items():
        typer.echo(f"{day}  {files:,} files made one")
    if not merged:
        typer.echo("There is nothing to compact.")


@app.command()
def rebuild(
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The first day (UTC).")],
    last: Annotated[
        datetime | None, typer.Argument(formats=["%Y-%m-%d"], help="The last day; the first without it.")
    ] = None,
) -> None:
    """Work the rows of past days out again from the lake, late tweets in their place; lists stay."""
    from pipelines.settings import StreamSettings
    from pipelines.trends.history import rebuild
    from pipelines.trends.plan import TrendPlan
    from stack.errors import UserError

    settings = StreamSettings()
    days = (first.date(), (last or first).date())
    if days[1] < days[0]:
        raise UserError(f"The last day, {days[1]}, is before the first, {days[0]}.")
    flink = settings.flink
    plan = TrendPlan(languages=flink.trend_languages, max_pairs=flink.trend_pairs)
    for day, rows in rebuild(settings.lake.path, settings.namespace, plan, flink.trend_words, days):
        typer.echo(f"{day}  {rows:,} rows")
