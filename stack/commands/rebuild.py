"""``tideline rebuild``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def rebuild(
    rate: Annotated[float, typer.Option(min=0.1, help="Readers per second at most.")] = 200.0,
    readers: Annotated[
        Path | None,
        typer.Option(
            help="File with one reader id a line, such as the active ones; without it everybody who follows."
        ),
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Forget where an interrupted run stopped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Rebuild missing home timelines from the outboxes, in the background of everything else.

    Interrupted, it goes on where it stopped. Timelines that are there are left as they are.
    """
    from pipelines.settings import StreamSettings
    from stack.warming import Run
    from timelines.keys import Keyspace
    from timelines.warming import readers_of

    settings = StreamSettings()
    chosen = None if readers is None else sorted(set(_listed(readers)))

    async def everybody(client: Any, keys: Keyspace) -> list[int]:
        return await readers_of(client, keys) if chosen is None else chosen

    place = Path(settings.home) / "rebuild" / f"{settings.namespace or 'live'}.json"
    if from_start:
        place.unlink(missing_ok=True)
    figures = Run("rebuild", place, rate).finish(settings, everybody)
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        typer.echo(
            f"{figures['rebuilt']:,} of {figures['readers']:,} timelines rebuilt in {figures['seconds']} s."
        )


def _listed(file: Path) -> list[int]:
    from stack.errors import UserError

    try:
        return [int(line) for line in file.read_text().split()]
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is not a list of reader ids, one a line: {error}.") from error
