"""Waits until the stream jobs have read the whole log and what they wrote is settled."""

from __future__ import annotations

import time
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.jobs import JOB_TOPICS, USUAL_JOBS
from pipelines.settings import StreamSettings
from stack.demo.lag import Lag, LagReader
from stack.errors import UserError
from stack.readiness import get_json
from stack.waiting_entries import entries_waiting

POLL_SECONDS = 0.5
STALLED_SECONDS = 120


def lag(settings: StreamSettings) -> Lag:
    """How far each job of the namespace is behind the log."""
    prefix = settings.namespace or "main"
    groups = {f"{prefix}-{job}": JOB_TOPICS[job] for job in USUAL_JOBS}
    return LagReader(settings.kafka.bootstrap).read(groups, settings.namespace)


def wait(settings: StreamSettings, console: Console) -> float:
    """Seconds until no job had any lag, no delivery waited and each had completed another checkpoint.

    Offsets are committed by checkpoints; what a batching operator still held at that checkpoint has been
    written by the next one.

    Raises:
        UserError: the lag did not shrink for two minutes.
    """
    started = time.monotonic()
    read = partial(lag, settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        first = read().total
        task = progress.add_task("   records read", total=first)
        least, changed = first, time.monotonic()
        while left := read().total:
            progress.update(task, completed=max(first - left, 0))
            if left < least:
                least, changed = left, time.monotonic()
            if time.monotonic() - changed > STALLED_SECONDS:
                raise UserError(f"The stream jobs stopped {left:,} records before the end of the log.")
            time.sleep(POLL_SECONDS)
        progress.update(task, completed=first)
    _await_checkpoint(settings)
    # The job's metrics are as fresh as the checkpoint by now.
    if _await_backlog(settings):
        _await_checkpoint(settings)
    return round(time.monotonic() - started, 1)


def _completed_checkpoints(rest: str) -> dict[str, int]:
    jobs = get_json(f"http://{rest}/jobs/overview", timeout=10)["jobs"]
    running = [job["jid"] for job in jobs if job["state"] == "RUNNING"]
    return {
        jid: get_json(f"http://{rest}/jobs/{jid}/checkpoints", timeout=10)["counts"]["completed"]
        for jid in running
    }


def _await_checkpoint(settings: StreamSettings) -> None:
    """One more completed checkpoint of every running job."""
    before = _completed_checkpoints(settings.flink.rest)
    deadline = time.monotonic() + STALLED_SECONDS
    while not _passed(before, _completed_checkpoints(settings.flink.rest)):
        if time.monotonic() > deadline:
            raise UserError(
                "A stream job completes no checkpoints; its log is shown by `tideline logs flink`."
            )
        time.sleep(POLL_SECONDS)


def _await_backlog(settings: StreamSettings) -> bool:
    """Nothing that large authors' followers get slowly waits any more; whether anything did."""
    waited = False
    deadline = time.monotonic() + STALLED_SECONDS
    title = f"{settings.namespace or 'main'}-timelines"
    while waiting := entries_waiting(f"http://{settings.flink.rest}", title):
        waited = True
        if time.monotonic() > deadline:
            raise UserError(
                f"{waiting:,} entries still wait for their followers: raise the pace by "
                "`tideline fan-out set --per-second`."
            )
        time.sleep(POLL_SECONDS)
    return waited


def _passed(before: dict[str, int], now: dict[str, int]) -> bool:
    """Whether every job runs and has completed a checkpoint since ``before``."""
    return len(now) >= len(USUAL_JOBS) and all(done > before.get(job, 0) for job, done in now.items())
