"""``tideline jobs``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(help="The Flink jobs.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(help="Jobs by name; all of them without it.")]


@app.command()
def submit(
    names: Names = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Submit the jobs that do not run, each from its last retained checkpoint."""
    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.settings import StackSettings

    settings = StackSettings()
    titles = job_control(settings).submit(stream_jobs(settings.namespace, names or ()))
    if as_json:
        typer.echo(json.dumps({"submitted": titles}))
        return
    typer.echo(f"Submitted: {', '.join(titles)}." if titles else "All of them run already.")


@app.command("list")
def list_jobs() -> None:
    """What the cluster runs, and what has ended since it started."""
    from stack.context import job_control
    from stack.settings import StackSettings

    for job in job_control(StackSettings()).jobs():
        typer.echo(f"{job.job_id}  {job.state:<12} {job.title}")


@app.command()
def cancel(names: Names = None) -> None:
    """Cancel jobs of the namespace; their checkpoints are kept, and a later submit starts from them."""
    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.settings import StackSettings

    settings = StackSettings()
    titles = [job.title for job in stream_jobs(settings.namespace, names or ())]
    cancelled = job_control(settings).cancel(titles)
    typer.echo(f"Cancelled: {', '.join(cancelled)}." if cancelled else "None of them runs.")


@app.command()
def resume() -> None:
    """Submit the jobs that were submitted before and do not run (the supervisor calls this)."""
    from stack.context import job_control
    from stack.settings import StackSettings

    for title in job_control(StackSettings()).resume():
        typer.echo(f"{title} resumed")
