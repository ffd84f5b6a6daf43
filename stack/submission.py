"""Submits jobs by ``flink run -py``: one client for all jobs of an entry file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack.plan import Plan
from stack.servers.flink import distribution, environment
from stack.wanted import WantedJob

SUBMITTED = re.compile(r"JobID ([0-9a-f]{32})")


def submit(plan: Plan, starts: Mapping[WantedJob, Path | None]) -> list[str]:
    """Submit each job from where it starts; the sentences of the clients that failed."""
    return [failure for batch in _batches(list(starts)) if (failure := _run(plan, batch, starts))]


def _run(plan: Plan, jobs: Sequence[WantedJob], starts: Mapping[WantedJob, Path | None]) -> str | None:
    """Submit jobs of one entry file by one client; the sentence of its failure, if it fails."""
    command = ["bash", str(distribution() / "bin" / "flink"), "run", "--detached"]
    command += ["--jobmanager", plan.address("flink").removeprefix("http://")]
    command += ["--pyClientExecutable", sys.executable, "--python", jobs[0].file]
    command += [job.argument(starts[job]) for job in jobs]
    env = {"TIDELINE_HOME": str(plan.layout.home), "TIDELINE_NAMESPACE": jobs[0].namespace}
    outcome = subprocess.run(  # noqa: S603
        command,
        env={**os.environ, **environment(plan), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    titles = ", ".join(job.title for job in jobs)
    log = plan.layout.log(f"submit-{jobs[0].namespace or 'main'}")
    log.write_text(outcome.stdout + outcome.stderr)
    if outcome.returncode == 0 and len(set(SUBMITTED.findall(outcome.stdout))) == len(jobs):
        return None
    return f"Of {titles} not all were taken: {reason(outcome.stdout + outcome.stderr)} (log: {log})."


def _batches(jobs: Sequence[WantedJob]) -> list[list[WantedJob]]:
    """A client is a JVM and a Python, which cost more than what they submit: one for each entry file."""
    batches: dict[tuple[str, str], list[WantedJob]] = {}
    for job in jobs:
        batches.setdefault((job.namespace, job.file), []).append(job)
    return list(batches.values())


def reason(output: str) -> str:
    """The line of a failed submission that says why: Python's exception, else the last Java cause."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"^[\w.]+(Error|Exception): \S", line)]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    for found in (python[-1:], causes[-1:], lines[-1:]):
        if found:
            return found[0].rstrip(".")
    return "it said nothing"
