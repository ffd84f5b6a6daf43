"""``tideline verify``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

SHOWN = 5


def verify(
    dataset: Annotated[
        str | None,
        typer.Option(help="What the running stack must serve; without it, whatever it serves."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the log; the settings' without it.")
    ] = None,
    viewers: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many feeds, evenly spread; without it all of them."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Feeds read at the same time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Compare every viewer's chronological feed, read through HTTP, with a plain fold of the log.

    Exits 1 when an entry is missing, extra, out of order or there twice.
    """
    import asyncio
    import time

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from ingestion.publisher import LogUnavailableError
    from ingestion.tokens import SigningKeyError, mint
    from stack.errors import UserError
    from stack.lifecycle import layout_of
    from stack.projections.ledger import Ledger
    from stack.verify.feeds import FeedReadError
    from stack.verify.verify import VerifySettings, fold_log
    from stack.verify.verify import verify as run

    settings = VerifySettings()
    if namespace is not None:
        served = Ledger(layout_of(settings)).of(namespace).projections
        settings = VerifySettings(namespace=namespace, projections=served)
    if namespace is None and dataset is not None and settings.namespace not in ("", dataset):
        raise UserError(f"The stack serves {settings.namespace}: `tideline up --namespace {dataset}` first.")
    title = dataset or settings.namespace or "log"
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task(title, total=None)

        def progress(step: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {step}", completed=done, total=total)

        try:
            fold = fold_log(settings, progress)
            if not fold.viewers:
                raise UserError("Nobody follows anybody in this log: replay a dataset first.")

            def token_of(user: int) -> str:
                return mint(settings.security, user, int(time.time()), audit=True)

            verdict, wrong = asyncio.run(run(settings, fold, viewers, token_of, concurrency, progress))
        except (LogUnavailableError, FeedReadError, SigningKeyError) as error:
            raise UserError(str(error)) from error
    for viewer, difference in list(wrong.items())[:SHOWN]:
        errors.print(f"viewer {viewer}: {difference}")
    figures = verdict.as_json()
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        table = Table("", title)
        for name, value in figures.items():
            table.add_row(name.replace("_", " "), f"{value:,}")
        Console().print(table)
    if not verdict.holds:
        raise typer.Exit(1)
