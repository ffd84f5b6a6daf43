"""``tideline rebuild``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

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
    import asyncio
    import time

    from redis.exceptions import RedisError
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pipelines.settings import StreamSettings
    from stack.errors import UserError
    from timelines.client import open_async_client
    from timelines.home import HomeReader
    from timelines.keys import Keyspace
    from timelines.warming import readers_of, warm

    settings = StreamSettings()
    keys = Keyspace.of(settings)
    chosen = None if readers is None else _listed(readers)
    place = Path(settings.home) / "rebuild" / f"{settings.namespace or 'live'}.json"
    if from_start:
        place.unlink(missing_ok=True)
    after = json.loads(place.read_text())["after"] if place.exists() else -1
    together = max(1, min(16, int(rate)))

    async def run(bar: Progress) -> dict[str, float]:
        client = open_async_client(settings.redis, timeout_s=30, connections=together + 1)
        try:
            everybody = sorted(set(chosen)) if chosen is not None else await readers_of(client, keys)
            todo = [reader for reader in everybody if reader > after]
            task = bar.add_task("rebuild", total=len(everybody), completed=len(everybody) - len(todo))

            def passed(reader: int, rebuilt: int) -> None:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(json.dumps({"after": reader}))
                bar.update(task, advance=together, description=f"rebuild: {rebuilt} rebuilt")

            started = time.monotonic()
            home = HomeReader(client, keys, settings.timelines)
            rebuilt = await warm(home, todo, rate, together, passed, time.monotonic)
            seconds = time.monotonic() - started
        finally:
            await client.aclose()
        place.unlink(missing_ok=True)
        return {"readers": len(todo), "rebuilt": rebuilt, "seconds": round(seconds, 3)}

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        try:
            figures = asyncio.run(run(bar))
        except RedisError as error:
            raise UserError(
                f"The store stopped answering: {error}. Run `tideline rebuild` again to go on."
            ) from error
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
