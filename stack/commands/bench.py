"""``tideline bench``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark; a wrong name lists them.")],
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions after the warm-up.")] = 5,
    events: Annotated[
        list[int] | None, typer.Option(min=1, help="How many events, again for each size: offline-features.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object after the table.")] = False,
) -> None:
    """Measure one figure beside its baseline: minimum, median and maximum of several repetitions."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.harness import BenchmarkRefusedError, measure, open_trial
    from stack.errors import UserError

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{name}: preparing", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        try:
            with open_trial(name, events or ()) as trial:
                result = measure(trial, repeats, progress)
        except BenchmarkRefusedError as error:
            raise UserError(str(error)) from error
    Console().print(result.table())
    if as_json:
        typer.echo(json.dumps(result.as_json()))
