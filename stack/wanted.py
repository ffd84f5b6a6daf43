"""Which jobs should run, and from what each of them starts: remembered in one file of the stack."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingestion.whole_files import write_whole
from pipelines.jobs import job_title, owner, topic_names
from stack import savepoints
from stack.layout import Layout


class WantedJob(msgspec.Struct, frozen=True):
    """A job that should run: ``file`` submits it when called with ``name[@<projection>][=<where to start>]``.

    ``projection`` is the name of what it writes, where that is not the namespace's. ``savepoint`` is a
    savepoint, or the folder that one was asked for in; checkpoints written until ``restored_ns`` do not
    count, because a person chose the savepoint instead, or to start without state. ``cancelled`` jobs do not
    run; what is known of them counts when they are submitted again.
    """

    namespace: str
    name: str
    file: str
    savepoint: str = ""
    restored_ns: int = 0
    cancelled: bool = False
    projection: str = ""

    @property
    def title(self) -> str:
        """The name on the cluster, and the consumer group."""
        return job_title(self.name, self.namespace, self.projection)

    @property
    def folder(self) -> Path:
        """Where its checkpoints and savepoints lie below those of all."""
        return Path(owner(self.namespace, self.projection)) / self.name

    @property
    def topics(self) -> list[str]:
        """The names on the broker of what it reads."""
        return topic_names(self.name, self.namespace, self.projection)

    def argument(self, start: Path | None) -> str:
        """What its entry file is called with."""
        named = f"{self.name}@{self.projection}" if self.projection else self.name
        return named if start is None else f"{named}={start.as_uri()}"


@dataclass(frozen=True)
class WantedJobs:
    """The file; whoever changes it holds the lock of the jobs."""

    layout: Layout

    def all(self) -> list[WantedJob]:
        """Every job that was ever submitted, those cancelled since included."""
        try:
            return msgspec.json.decode(self.layout.jobs.read_bytes(), type=list[WantedJob])
        except (FileNotFoundError, msgspec.DecodeError):
            return []

    def running(self) -> list[WantedJob]:
        """Those that were not cancelled."""
        return [job for job in self.all() if not job.cancelled]

    def known(self, job: WantedJob) -> WantedJob:
        """What is remembered of this job, running; the job itself where that is nothing."""
        for found in self.all():
            if found.title == job.title:
                return msgspec.structs.replace(found, file=job.file, cancelled=False)
        return job

    def remember(self, jobs: Iterable[WantedJob]) -> None:
        """Keep these in the place of what was known of them."""
        known = {job.title: job for job in self.all()} | {job.title: job for job in jobs}
        self._write(list(known.values()))

    def change(self, titles: Iterable[str], change: Callable[[WantedJob], WantedJob]) -> None:
        """Keep the changed form of the jobs of these titles."""
        self._write([change(job) if job.title in titles else job for job in self.all()])

    def forget(self, titles: Iterable[str]) -> None:
        """Know nothing of the jobs of these titles any more, and keep none of their checkpoints."""
        for job in self.all():
            if job.title in titles:
                shutil.rmtree(self._checkpoints(job), ignore_errors=True)
        self._write([job for job in self.all() if job.title not in titles])

    def last_checkpoint(self, job: WantedJob) -> Path | None:
        """The newest complete checkpoint of any run of this job."""
        complete = list(self._checkpoints(job).glob("*/chk-*/_metadata"))
        return max(complete, key=_written_ns).parent if complete else None

    def start_point(self, job: WantedJob) -> Path | None:
        """The newest of its checkpoints and its savepoint; what a person chose is as new as the choice."""
        checkpoint = self.last_checkpoint(job)
        savepoint = savepoints.newest(Path(job.savepoint)) if job.savepoint else None
        chosen_ns = job.restored_ns
        if savepoint is not None:
            chosen_ns = max(chosen_ns, _written_ns(savepoint / savepoints.METADATA))
        if checkpoint is not None and _written_ns(checkpoint / savepoints.METADATA) > chosen_ns:
            return checkpoint
        return savepoint

    def _checkpoints(self, job: WantedJob) -> Path:
        return self.layout.data("flink") / "checkpoints" / job.folder

    def _write(self, jobs: list[WantedJob]) -> None:
        write_whole(self.layout.jobs, msgspec.json.encode(jobs))


def _written_ns(metadata: Path) -> int:
    return metadata.stat().st_mtime_ns
