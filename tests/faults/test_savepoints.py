"""Savepoints: a job goes back to one, at another parallelism; code is exchanged with the state kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.errors import UserError
from stack.readiness import get_json

pytestmark = [pytest.mark.faults, pytest.mark.stack, pytest.mark.timeout(900)]


def test_timelines_goes_on_at_twice_the_parallelism_from_a_savepoint(
    town: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = town.stream_jobs(["timelines"])
    taken = town.control.savepoint(job, tmp_path)
    assert tmp_path in taken.parents
    town.publish(town.traffic.round())
    town.settle()

    def restore() -> None:
        monkeypatch.setenv("TIDELINE_FLINK__PARALLELISM", "2")
        town.control.restore(job, taken)

    town.episode("timelines restored at parallelism 2", restore)
    assert parallelism(town, "fan out") == 2
    assert restored_from(town, job.title) == str(taken)

    monkeypatch.undo()
    again = town.control.savepoint(job, tmp_path)
    town.episode("timelines restored at parallelism 1", lambda: town.control.restore(job, again))
    assert parallelism(town, "fan out") == 1
    # The savepoint is a person's: the job that started from it has not deleted it.
    assert (taken / "_metadata").exists()


def test_an_upgrade_keeps_the_state_of_every_job(
    town: Any, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    before, pid = town.job_ids(), town.pid("taskmanager")
    jobs = town.stream_jobs()
    taken: list[Path] = []
    town.episode("jobs upgraded", lambda: taken.extend(town.control.upgrade(jobs, tmp_path)))
    assert town.pid("taskmanager") != pid
    assert not set(town.job_ids().values()) & set(before.values())
    assert [restored_from(town, job.title) for job in jobs] == [str(path) for path in taken]


def test_a_folder_without_a_savepoint_is_a_sentence_and_the_job_goes_on(town: Any, tmp_path: Path) -> None:
    (job,) = town.stream_jobs(["timelines"])
    before = town.job_ids()
    with pytest.raises(UserError, match="There is no complete savepoint in"):
        town.control.restore(job, tmp_path)
    assert town.job_ids() == before


def parallelism(town: Any, operator: str) -> int:
    rest, job = town.plan.address("flink"), town.job_ids()[town.stream_jobs(["timelines"])[0].title]
    vertices = get_json(f"{rest}/jobs/{job}", timeout=10)["vertices"]
    return next(int(vertex["parallelism"]) for vertex in vertices if operator in vertex["name"])


def restored_from(town: Any, title: str) -> str:
    rest, job = town.plan.address("flink"), town.job_ids()[title]
    latest = get_json(f"{rest}/jobs/{job}/checkpoints", timeout=10)["latest"]["restored"]
    return str(latest["external_path"]).removeprefix("file:")
