"""``tideline lake``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

app = typer.Typer(help="The events in the lake.", no_args_is_help=True)


@app.callback()
def lake() -> None:
    """The events in the lake."""


@app.command()
def compact(
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Days before this one (UTC); today without it."),
    ] = None,
    keep_hours: Annotated[
        float, typer.Option(min=0, help="How long files that were replaced stay, for those who read them.")
    ] = 24,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of a line per day.")
    ] = False,
) -> None:
    """Make one file of each finished day's many; what the lake says stays the same.

    Also removes what an earlier run has replaced.
    """
    from ingestion.lake_compaction import compact as run
    from ingestion.settings import TidelineSettings
    from stack.locks import exclusive

    settings = TidelineSettings()
    now = datetime.now(UTC)
    day = (before or now).date()
    compacted = []
    with exclusive(settings.home / "run" / "lake-compaction.lock"):
        for done in run(settings.lake.path, settings.namespace, day, timedelta(hours=keep_hours), now):
            compacted.append(done)
            if not as_json:
                made = f"{done.merged:,} files made one of {done.rows:,} rows" if done.merged else ""
                gone = f"{done.removed:,} replaced files removed" if done.removed else ""
                typer.echo(f"{done.event:<18}{done.day}  {', '.join(filter(None, (made, gone)))}")
    if as_json:
        merged, removed = (sum(getattr(done, name) for done in compacted) for name in ("merged", "removed"))
        typer.echo(json.dumps({"partitions": len(compacted), "merged": merged, "removed": removed}))
    elif not compacted:
        typer.echo("There is nothing to compact.")
