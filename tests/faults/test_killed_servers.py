"""Processes of the stack killed in the middle of a run of events."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.stack, pytest.mark.timeout(900)]
JOBS_BACK_S = 30.0


def test_feeds_are_right_after_the_task_manager_was_killed(town: Any) -> None:
    before = town.restarts()
    town.episode(
        "TaskManager killed", lambda: town.kill("taskmanager"), back=lambda: town.restarts() >= before + 2
    )


def test_jobs_are_back_soon_after_the_job_manager_was_killed(town: Any) -> None:
    before = town.job_ids()
    episode = town.episode(
        "JobManager killed",
        lambda: town.kill("jobmanager"),
        back=lambda: not set(town.job_ids().values()) & set(before.values()),
    )
    assert episode.jobs_back_s is not None
    assert episode.jobs_back_s <= JOBS_BACK_S


def test_acknowledged_events_survive_a_killed_kafka(town: Any) -> None:
    pid = town.pid("kafka")
    town.episode("Kafka killed", lambda: town.kill("kafka"), back=lambda: town.pid("kafka") != pid)


@pytest.mark.quick
def test_feeds_are_right_after_valkey_was_killed(town: Any) -> None:
    pid = town.pid("valkey")
    town.episode("Valkey killed", lambda: town.kill("valkey"), back=lambda: town.pid("valkey") != pid)
