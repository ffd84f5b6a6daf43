"""From what a job starts: the newest of its checkpoints and savepoints, unless a person chose."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from stack.layout import Layout
from stack.wanted import WantedJob, WantedJobs

JOB = WantedJob("town", "timelines", "submit.py")


class Disk:
    """A stack's files; ``written`` is the second at which a checkpoint or savepoint was complete."""

    def __init__(self, home: Path) -> None:
        self.wanted = WantedJobs(Layout(home))
        self._home = home

    def checkpoint(self, run: str, number: int, written: int) -> Path:
        return self._complete(
            self._home / "flink" / "checkpoints" / "town" / "timelines" / run / f"chk-{number}", written
        )

    def savepoint(self, written: int, name: str = "20261121T120000") -> Path:
        return self._complete(self._home / "savepoints" / name / "savepoint-1", written)

    def _complete(self, folder: Path, written: int) -> Path:
        folder.mkdir(parents=True)
        (folder / "_metadata").write_bytes(b"state")
        os.utime(folder / "_metadata", (written, written))
        return folder


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def chosen(savepoint: Path | str = "", second: int = 0) -> WantedJob:
    return msgspec.structs.replace(JOB, savepoint=str(savepoint), restored_ns=second * 10**9)


def test_a_job_that_never_ran_starts_without_state(disk: Disk) -> None:
    assert disk.wanted.start_point(JOB) is None


def test_a_job_starts_from_the_newest_complete_checkpoint_of_any_run(disk: Disk) -> None:
    disk.checkpoint("first", 9, written=10)
    newest = disk.checkpoint("second", 2, written=20)
    (newest.parent / "chk-3").mkdir()
    assert disk.wanted.start_point(JOB) == newest


def test_a_savepoint_that_a_person_chose_counts_more_than_checkpoints_before_the_choice(disk: Disk) -> None:
    savepoint = disk.savepoint(written=10)
    disk.checkpoint("before", 1, written=20)
    job = chosen(savepoint, second=30)
    assert disk.wanted.start_point(job) == savepoint
    after = disk.checkpoint("after", 1, written=40)
    assert disk.wanted.start_point(job) == after


def test_of_an_upgrade_that_died_the_newest_state_is_taken(disk: Disk) -> None:
    checkpoint = disk.checkpoint("run", 1, written=10)
    asked_for = disk._home / "savepoints" / "20261121T120000"
    assert disk.wanted.start_point(chosen(asked_for)) == checkpoint
    savepoint = disk.savepoint(written=20)
    assert disk.wanted.start_point(chosen(asked_for)) == savepoint


def test_a_job_that_starts_over_takes_no_checkpoint_from_before(disk: Disk) -> None:
    disk.checkpoint("before", 1, written=10)
    assert disk.wanted.start_point(chosen(second=20)) is None
    after = disk.checkpoint("after", 1, written=30)
    assert disk.wanted.start_point(chosen(second=20)) == after


def test_a_cancelled_job_is_remembered_with_its_savepoint_and_does_not_run(disk: Disk) -> None:
    other = WantedJob("", "content", "submit.py")
    disk.wanted.remember([chosen("somewhere", second=5), other])
    disk.wanted.change([JOB.title], lambda job: msgspec.structs.replace(job, cancelled=True))
    assert disk.wanted.running() == [other]
    assert disk.wanted.known(JOB) == chosen("somewhere", second=5)
    disk.wanted.remember([disk.wanted.known(JOB)])
    assert {job.title for job in disk.wanted.running()} == {JOB.title, other.title}
