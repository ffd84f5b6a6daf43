"""Waits until stream jobs have read the whole log and what they wrote is settled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.settings import StreamSettings
from stack import savepoints
from stack.errors import UserError
from stack.lag import Lag, lag_of
from stack.readiness import get_json
from stack.waiting_entries import entries_waiting
from stack.wanted import WantedJob

POLL_SECONDS = 0.5
STALLED_SECONDS = 120
ASK_SECONDS = 10


def lag(settings: StreamSettings, jobs: Sequence[WantedJob]) -> Lag:
    """How far each of these jobs is behind what it reads."""
    return lag_of(settings.kafka, {job.title: job.topics for job in jobs})


def wait(settings: StreamSettings, jobs: Sequence[WantedJob], console: Console) -> float:
    """Seconds until none of these jobs had any lag, no delivery waited and each had completed another
    checkpoint.

    Offsets are committed by checkpoints; what a batching operator still held at that checkpoint has been
    written by the next one.

    Raises:
        UserError: the lag did not shrink for two minutes.
    """
    started = time.monotonic()
    read = partial(lag, settings, jobs)
    rest = _rest(settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        first = read().total
        task = progress.add_task("   records read", total=first)
        least, changed = first, time.monotonic()
        asked = changed
        while left := read().total:
            if time.monotonic() - asked > ASK_SECONDS:
                _ask_for_checkpoints(rest, jobs)
                asked = time.monotonic()
            progress.update(task, completed=max(first - left, 0))
            if left < least:
                least, changed = left, time.monotonic()
            if time.monotonic() - changed > STALLED_SECONDS:
                raise UserError(f"The stream jobs stopped {left:,} records before the end of the log.")
            time.sleep(POLL_SECONDS)
        progress.update(task, completed=first)
    await_checkpoint(settings, jobs)
    # The job's metrics are as fresh as the checkpoint by now.
    if _await_backlog(rest, jobs):
        await_checkpoint(settings, jobs)
    return round(time.monotonic() - started, 1)


def _rest(settings: StreamSettings) -> str:
    return f"http://{settings.flink.rest}"


def _completed_checkpoints(rest: str, jobs: Sequence[WantedJob]) -> dict[str, int]:
    """By the cluster's id of the job, of those of these jobs that run."""
    titles = {job.title for job in jobs}
    found = get_json(f"{rest}/jobs/overview", timeout=10)["jobs"]
    running = [job["jid"] for job in found if job["state"] == "RUNNING" and job["name"] in titles]
    return {
        jid: get_json(f"{rest}/jobs/{jid}/checkpoints", timeout=10)["counts"]["completed"] for jid in running
    }


def _ask_for_checkpoints(rest: str, jobs: Sequence[WantedJob]) -> dict[str, int]:
    """The checkpoints completed before; some jobs take them seldom."""
    before = _completed_checkpoints(rest, jobs)
    for job_id in before:
        savepoints.checkpoint(rest, job_id)
    return before


def await_checkpoint(settings: StreamSettings, jobs: Sequence[WantedJob]) -> None:
    """Wait for one more completed checkpoint of every job, and so for the offsets that go with it.

    Raises:
        UserError: a job completed none for two minutes.
    """
    rest = _rest(settings)
    before = _ask_for_checkpoints(rest, jobs)
    deadline = time.monotonic() + STALLED_SECONDS
    while True:
        now = _completed_checkpoints(rest, jobs)
        if len(now) == len(jobs) and all(done > before.get(job, 0) for job, done in now.items()):
            return
        if time.monotonic() > deadline:
            raise UserError(
                "A stream job completes no checkpoints; its log is shown by `tideline logs flink`."
            )
        time.sleep(POLL_SECONDS)


def _await_backlog(rest: str, jobs: Sequence[WantedJob]) -> bool:
    """Nothing that large authors' followers get slowly waits any more; whether anything did."""
    waited = False
    deadline = time.monotonic() + STALLED_SECONDS
    for job in (job for job in jobs if job.name == "timelines"):
        while waiting := entries_waiting(rest, job.title):
            waited = True
            if time.monotonic() > deadline:
                raise UserError(
                    f"{waiting:,} entries still wait for their followers: raise the pace by "
                    "`tideline fan-out set --per-second`."
                )
            time.sleep(POLL_SECONDS)
    return waited
