"""``tideline jobs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The Flink jobs.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(help="Jobs by name; all of them without it.")]
Started = Annotated[
    list[str] | None, typer.Argument(help="Jobs by name; without it those that need not be asked for.")
]
Folder = Annotated[
    Path | None, typer.Option("--dir", help="Where savepoints go; TIDELINE_FLINK__SAVEPOINT_DIR without it.")
]


@app.command()
def submit(
    names: Started = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Submit the jobs that do not run, each from its last retained checkpoint."""
    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.settings import StackSettings

    settings = StackSettings()
    jobs = stream_jobs(settings.namespace, names or (), settings.projections)
    titles = job_control(settings).submit(jobs)
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
    from stack.projections.ledger import Ledger
    from stack.settings import StackSettings

    settings = StackSettings()
    control = job_control(settings)
    served = Ledger(control.layout).of(settings.namespace).projections
    jobs = stream_jobs(settings.namespace, names or (), served)
    if not names:
        jobs += control.known(settings.namespace)
    cancelled = control.cancel([job.title for job in jobs])
    typer.echo(f"Cancelled: {', '.join(cancelled)}." if cancelled else "None of them runs.")


@app.command()
def savepoint(
    name: Annotated[str, typer.Argument(help="The job.")],
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Write a savepoint of a running job and print where it is; the job goes on."""
    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.settings import StackSettings

    settings = StackSettings()
    (job,) = stream_jobs(settings.namespace, [name], settings.projections)
    taken = job_control(settings).savepoint(job, folder or _savepoints())
    typer.echo(json.dumps({"job": job.title, "savepoint": str(taken)}) if as_json else str(taken))


@app.command()
def restore(
    name: Annotated[str, typer.Argument(help="The job.")],
    savepoint: Annotated[
        Path | None, typer.Option(help="A savepoint; the job's newest of the usual folder without it.")
    ] = None,
) -> None:
    """Start a job from a savepoint. One that runs is cancelled first, and what it did since is done again.

    Its parallelism is the setting's now (``TIDELINE_FLINK__PARALLELISM``), whatever it was.
    """
    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.settings import StackSettings

    settings = StackSettings()
    (job,) = stream_jobs(settings.namespace, [name], settings.projections)
    usual = _savepoints() / job.folder
    job_control(settings).restore(job, savepoint or usual)
    typer.echo(f"{job.title} restored")


@app.command("start-over")
def start_over(
    names: Started = None,
    moment: Annotated[
        str | None, typer.Option("--from", help="Read events from this moment: 2026-11-21T14:00, 2h, 7d.")
    ] = None,
) -> None:
    """Start jobs without state, from the beginning of the log: what they wrote is written again.

    This is what brings back a store that was emptied.
    """
    import time

    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.moments import moment_ms
    from stack.settings import StackSettings

    settings = StackSettings()
    from_ms = None if moment is None else moment_ms(moment, int(time.time() * 1000))
    control = job_control(settings)
    jobs = stream_jobs(settings.namespace, names or (), settings.projections)
    for title in control.start_over(jobs, settings.kafka, from_ms):
        typer.echo(f"{title} reads the log again")


@app.command()
def upgrade(names: Names = None, folder: Folder = None) -> None:
    """Give running jobs the code as it is now, with their state: stop with a savepoint, start from it.

    The TaskManager starts again in between, because Python modules once loaded stay loaded.
    """
    from stack.context import job_control
    from stack.jobs import stream_jobs
    from stack.settings import StackSettings

    settings = StackSettings()
    control = job_control(settings)
    jobs = stream_jobs(settings.namespace, names or (), settings.projections)
    if not names:
        jobs = [job for job in jobs if job.title in control.active()]
    for taken in control.upgrade(jobs, folder or _savepoints()):
        typer.echo(str(taken))


def _savepoints() -> Path:
    from pipelines.settings import StreamSettings

    return StreamSettings().flink.savepoint_dir


@app.command()
def resume() -> None:
    """Submit the namespace's jobs that were submitted before and do not run (the supervisor calls this)."""
    from stack.context import job_control
    from stack.settings import StackSettings

    settings = StackSettings()
    for title in job_control(settings).resume(settings.namespace):
        typer.echo(f"{title} resumed")
