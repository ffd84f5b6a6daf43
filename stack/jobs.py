"""The Flink jobs of a stack: submitted, watched over REST, given back their state."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingestion.offsets import place_group
from ingestion.settings import KafkaSettings
from pipelines import submit
from pipelines.jobs import JOB_TOPICS
from pipelines.settings import StreamSettings
from stack import lifecycle, savepoints, submission
from stack.errors import UserError
from stack.layout import Layout
from stack.locks import exclusive
from stack.plan import Plan
from stack.readiness import get_json
from stack.wanted import WantedJob, WantedJobs
from timelines.settings import UNNAMED, Projections

ENDED = ("FINISHED", "FAILED", "CANCELED")
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class RunningJob:
    job_id: str
    title: str
    state: str
    started_ms: int


def stream_jobs(namespace: str, names: Sequence[str], projections: Projections = UNNAMED) -> list[WantedJob]:
    """The project's own jobs of these names, or all; ``UserError`` for another name."""
    for name in names:
        if name not in JOB_TOPICS:
            raise UserError(f"There is no job {name!r}; the jobs are {', '.join(JOB_TOPICS)}.")
    return [
        WantedJob(namespace, name, submit.__file__, projection=projections.of(name))
        for name in names or JOB_TOPICS
    ]


class JobControl:
    """The jobs of one stack."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rest = plan.address("flink")
        self._wanted = WantedJobs(plan.layout)

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
        """Submit those that do not run, each from its newest checkpoint or savepoint; return their titles.

        ``UserError`` says which were refused; the others run.
        """
        with self._lock():
            return self._submit(wanted, self.active())

    def resume(self, namespace: str) -> list[str]:
        """Submit every wanted job of a namespace, what it builds beside included, that does not run.

        While the cluster does not answer none runs: a client takes longer to start than a JobManager, and
        tries to reach it for a minute.
        """
        with self._lock():
            return self._submit(self._wanted_in(namespace), self._active_or_none())

    def require_slots_to_resume(self, namespace: str) -> None:
        """``UserError`` where jobs of other namespaces leave ``resume`` too few slots."""
        self._require_slots(self._wanted_in(namespace), self._active_or_none())

    def cancel(self, titles: Sequence[str], patience: float = 60.0) -> list[str]:
        """Cancel these jobs and wait until they have ended; their checkpoints are kept."""
        with self._lock():
            self._wanted.change(titles, lambda job: msgspec.structs.replace(job, cancelled=True))
            return self._cancel(titles, patience)

    def savepoint(self, job: WantedJob, folder: Path, patience: float = 300.0) -> Path:
        """Write a savepoint of a running job below ``folder``, and return where it is; the job goes on."""
        return savepoints.take(
            self._rest, self._running(job).job_id, _below(folder, job), stop=False, patience=patience
        )

    def restore(self, job: WantedJob, savepoint: Path, patience: float = 60.0) -> None:
        """Start a job from a savepoint; one that runs is cancelled first and does again what it did since.

        ``UserError`` when there is no complete savepoint, or the job does not take it.
        """
        found = savepoints.newest(savepoint)
        if found is None:
            raise UserError(f"There is no complete savepoint in {savepoint}.")
        with self._lock():
            self._cancel([job.title], patience)
            chosen = msgspec.structs.replace(job, savepoint=str(found), restored_ns=time.time_ns())
            self._wanted.remember([chosen])
            self._submit([chosen], self.active())

    def start_over(
        self,
        jobs: Sequence[WantedJob],
        kafka: KafkaSettings,
        from_ms: int | None = None,
        patience: float = 60.0,
    ) -> list[str]:
        """Start jobs without state, from the beginning of the log, or from that moment (ms UTC).

        Those that run are cancelled first. Compacted topics are read from their beginning in any case: what
        they hold is the present, whenever it was written.

        What they write is written again over what is there: every write may be repeated. Only the archive's
        rows come twice, which its readers drop by event id.
        """
        with self._lock():
            self._cancel([job.title for job in jobs], patience)
            now = time.time_ns()
            fresh = [msgspec.structs.replace(job, savepoint="", restored_ns=now) for job in jobs]
            self._wanted.remember(fresh)
            for job in jobs:
                place_group(kafka, job.title, job.topics, None)
                if from_ms is not None:
                    events = [topic for topic in JOB_TOPICS[job.name] if not topic.compacted]
                    names = [topic.full_name(job.namespace) for topic in events]
                    place_group(kafka, job.title, names, from_ms)
            return self._submit(fresh, self.active())

    def forget(self, titles: Sequence[str], patience: float = 60.0) -> None:
        """Cancel these jobs for good: their checkpoints go with them."""
        with self._lock():
            self._wanted.change(titles, lambda job: msgspec.structs.replace(job, cancelled=True))
            self._cancel(titles, patience)
            self._wanted.forget(titles)

    def upgrade(self, jobs: Sequence[WantedJob], folder: Path, patience: float = 300.0) -> list[Path]:
        """Stop jobs with a savepoint, give the TaskManager the code as it is now, start them from there.

        The folder of each savepoint is remembered before it is asked for: whatever dies on the way, the job
        comes back from the newest state there is. Other jobs go on from their checkpoints.
        """
        with self._lock():
            active = self.active()
            taken = []
            for job in jobs:
                if job.title not in active:
                    raise UserError(f"The job {job.title} does not run.")
                target = _below(folder, job)
                known = self._wanted.known(job)
                self._wanted.remember([msgspec.structs.replace(known, savepoint=str(target))])
                job_id = active[job.title].job_id
                taken.append(savepoints.take(self._rest, job_id, target, stop=True, patience=patience))
                self._await_end([job.title], patience)
            lifecycle.restart(self.layout, "taskmanager", patience)
            self._submit(jobs, self.active())
        return taken

    def known(self, namespace: str) -> list[WantedJob]:
        """The jobs of a namespace that were ever submitted, what it builds beside included."""
        return [job for job in self._wanted.all() if job.namespace == namespace]

    def last_checkpoint(self, job: WantedJob) -> Path | None:
        """The newest complete checkpoint of any run of this job."""
        return self._wanted.last_checkpoint(job)

    def _wanted_in(self, namespace: str) -> list[WantedJob]:
        return [job for job in self._wanted.running() if job.namespace == namespace]

    def _active_or_none(self) -> dict[str, RunningJob]:
        try:
            return self.active()
        except UserError:
            return {}

    def _submit(self, wanted: Sequence[WantedJob], active: Mapping[str, RunningJob]) -> list[str]:
        self._require_slots(wanted, active)
        jobs = [self._wanted.known(job) for job in wanted]
        self._wanted.remember(jobs)
        missing = {job: self._wanted.start_point(job) for job in jobs if job.title not in active}
        if failures := submission.submit(self._plan, missing):
            raise UserError(" ".join(failures))
        return [job.title for job in missing]

    def _require_slots(self, wanted: Sequence[WantedJob], active: Mapping[str, RunningJob]) -> None:
        served = {job.namespace for job in wanted}
        others = {
            job.namespace for job in self._wanted.all() if job.title in active and job.namespace not in served
        }
        missing = [job for job in wanted if job.title not in active]
        # Those that run may have been started with another parallelism: each takes one slot at least.
        needed = len(active) + len(missing) * StreamSettings().flink.parallelism
        if others and missing and needed > self._plan.stack.slots:
            ways = [f"`TIDELINE_NAMESPACE={name} tideline jobs cancel`" for name in sorted(others)]
            raise UserError(
                f"With the jobs of another namespace that run, {needed} slots are needed, and the stack has "
                f"{self._plan.stack.slots}: end those by {' and '.join(ways)}."
            )

    def _cancel(self, titles: Sequence[str], patience: float) -> list[str]:
        found = [job for title, job in self.active().items() if title in titles]
        for job in found:
            request = urllib.request.Request(  # noqa: S310 - loopback
                f"{self._rest}/jobs/{job.job_id}?mode=cancel", method="PATCH"
            )
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        self._await_end([job.title for job in found], patience)
        return [job.title for job in found]

    def _await_end(self, titles: Sequence[str], patience: float) -> None:
        deadline = time.monotonic() + patience
        while waiting := [title for title in titles if title in self.active()]:
            if time.monotonic() > deadline:
                raise UserError(f"These jobs did not end within {patience:.0f} s: {', '.join(waiting)}.")
            time.sleep(POLL_SECONDS)

    def _running(self, job: WantedJob) -> RunningJob:
        running = self.active().get(job.title)
        if running is None:
            raise UserError(f"The job {job.title} does not run.")
        return running

    def _lock(self) -> AbstractContextManager[None]:
        """One submission at a time: a supervisor that resumes and a person who submits may meet."""
        return exclusive(self.layout.run / "jobs.lock")


def _below(folder: Path, job: WantedJob) -> Path:
    """A folder of its own for each savepoint."""
    return folder.absolute() / job.folder / time.strftime("%Y%m%dT%H%M%S")
