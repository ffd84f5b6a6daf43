"""The Flink jobs: submitted by ``flink run -py``, watched over REST, given back their last checkpoint."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipelines import submit
from pipelines.jobs import JOB_TOPICS
from stack.errors import UserError
from stack.layout import Layout
from stack.plan import Plan
from stack.readiness import get_json
from stack.servers.flink import distribution, environment

SUBMITTED = re.compile(r"JobID ([0-9a-f]{32})")
ENDED = ("FINISHED", "FAILED", "CANCELED")


class WantedJob(msgspec.Struct, frozen=True):
    """A job that should run: ``file`` submits it when called with ``name`` or ``name=<checkpoint URI>``.

    ``name`` is also its checkpoint folder's.
    """

    namespace: str
    name: str
    file: str

    @property
    def title(self) -> str:
        """The name on the cluster, as ``pipelines.stream.connectors.job_name`` gives it."""
        return f"{self.namespace or 'main'}-{self.name}"


@dataclass(frozen=True)
class RunningJob:
    job_id: str
    title: str
    state: str
    started_ms: int


def stream_jobs(namespace: str, names: Sequence[str]) -> list[WantedJob]:
    """The project's own jobs of these names, or all; ``UserError`` for another name."""
    for name in names:
        if name not in JOB_TOPICS:
            raise UserError(f"There is no job {name!r}; the jobs are {', '.join(JOB_TOPICS)}.")
    return [WantedJob(namespace, name, submit.__file__) for name in names or JOB_TOPICS]


class JobControl:
    """The jobs of one stack."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rest = plan.address("flink")

    @property
    def layout(self) -> Layout:
        return self._plan.layout

    def jobs(self) -> list[RunningJob]:
        """What the cluster knows, newest first; ``UserError`` when it does not answer."""
        try:
            found = get_json(f"{self._rest}/jobs/overview", timeout=10)["jobs"]
        except (OSError, ValueError) as error:
            raise UserError(f"Flink does not answer at {self._rest}.") from error
        jobs = [RunningJob(job["jid"], job["name"], job["state"], job["start-time"]) for job in found]
        return sorted(jobs, key=lambda job: -job.started_ms)

    def active(self) -> dict[str, RunningJob]:
        """Jobs that have not ended, by their name."""
        return {job.title: job for job in reversed(self.jobs()) if job.state not in ENDED}

    def submit(self, wanted: Sequence[WantedJob]) -> list[str]:
        """Submit those that do not run, each from its last retained checkpoint; return their titles.

        ``UserError`` says which were refused; the others run.
        """
        with self._lock():
            active = self.active()
            missing = [job for job in wanted if job.title not in active]
            self._remember([*self.wanted(), *(job for job in wanted if job not in self.wanted())])
            failures = [failure for batch in _batches(missing) if (failure := self._run(batch))]
        if failures:
            raise UserError(" ".join(failures))
        return [job.title for job in missing]

    def resume(self, namespace: str | None = None) -> list[str]:
        """Submit every wanted job (of one namespace) that does not run."""
        return self.submit([job for job in self.wanted() if namespace in (None, job.namespace)])

    def cancel(self, titles: Sequence[str], patience: float = 60.0) -> list[str]:
        """Cancel these jobs, wait until they have ended and forget them; their checkpoints are kept."""
        with self._lock():
            self._remember([job for job in self.wanted() if job.title not in titles])
            found = [job for title, job in self.active().items() if title in titles]
            for job in found:
                request = urllib.request.Request(  # noqa: S310 - loopback
                    f"{self._rest}/jobs/{job.job_id}?mode=cancel", method="PATCH"
                )
                urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
            deadline = time.monotonic() + patience
            while waiting := [job.title for job in found if job.title in self.active()]:
                if time.monotonic() > deadline:
                    raise UserError(f"These jobs did not end within {patience:.0f} s: {', '.join(waiting)}.")
                time.sleep(0.2)
        return [job.title for job in found]

    def wanted(self) -> list[WantedJob]:
        """The jobs that were submitted and not cancelled."""
        try:
            return msgspec.json.decode(self.layout.jobs.read_bytes(), type=list[WantedJob])
        except (FileNotFoundError, msgspec.DecodeError):
            return []

    def last_checkpoint(self, job: WantedJob) -> Path | None:
        """The newest complete checkpoint of any run of this job."""
        folder = self.layout.data("flink") / "checkpoints" / (job.namespace or "main") / job.name
        complete = list(folder.glob("*/chk-*/_metadata"))
        return max(complete, key=lambda path: path.stat().st_mtime_ns).parent if complete else None

    def _run(self, jobs: Sequence[WantedJob]) -> str | None:
        """Submit jobs of one entry file by one client; the sentence of its failure, if it fails."""
        command = ["bash", str(distribution() / "bin" / "flink"), "run", "--detached"]
        command += ["--jobmanager", self._rest.removeprefix("http://")]
        command += ["--pyClientExecutable", sys.executable, "--python", jobs[0].file]
        command += [f"{job.name}{self._restore(job)}" for job in jobs]
        env = {"TIDELINE_HOME": str(self.layout.home), "TIDELINE_NAMESPACE": jobs[0].namespace}
        outcome = subprocess.run(  # noqa: S603
            command,
            env={**os.environ, **environment(self._plan), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        titles = ", ".join(job.title for job in jobs)
        log = self.layout.log(f"submit-{jobs[0].namespace or 'main'}")
        log.write_text(outcome.stdout + outcome.stderr)
        if outcome.returncode == 0 and len(set(SUBMITTED.findall(outcome.stdout))) == len(jobs):
            return None
        return f"Of {titles} not all were taken: {reason(outcome.stdout + outcome.stderr)} (log: {log})."

    def _restore(self, job: WantedJob) -> str:
        checkpoint = self.last_checkpoint(job)
        return f"={checkpoint.as_uri()}" if checkpoint else ""

    def _remember(self, jobs: list[WantedJob]) -> None:
        self.layout.jobs.parent.mkdir(parents=True, exist_ok=True)
        part = self.layout.jobs.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(jobs))
        part.replace(self.layout.jobs)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One submission at a time: a supervisor that resumes and a person who submits may meet."""
        self.layout.run.mkdir(parents=True, exist_ok=True)
        with (self.layout.run / "jobs.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


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
