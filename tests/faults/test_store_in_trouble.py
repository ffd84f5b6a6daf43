"""Valkey that hangs or is full: the jobs wait or fail and try again, and lose nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.stack, pytest.mark.timeout(900)]
FROZEN_S = 15.0


def test_a_frozen_valkey_is_waited_for(town: Any) -> None:
    pid = town.pid("valkey")
    thaw_at: list[float] = []

    def freeze() -> None:
        os.kill(pid, signal.SIGSTOP)
        thaw_at.append(time.monotonic() + FROZEN_S)

    def thaw() -> None:
        time.sleep(max(thaw_at[0] - time.monotonic(), 0))
        os.kill(pid, signal.SIGCONT)

    town.episode(f"Valkey frozen for {FROZEN_S:.0f} s", freeze, thaw)


def test_jobs_fail_and_try_again_while_valkey_is_at_its_memory_limit(
    town: Any, eventually: Callable[..., Any]
) -> None:
    before, limit = town.restarts(), town.store.config_get("maxmemory")["maxmemory"]

    def raise_the_limit() -> None:
        eventually(lambda: not town.all_jobs_run(), "a job fails for want of memory")
        town.store.config_set("maxmemory", limit)

    try:
        town.episode(
            "Valkey at its memory limit", lambda: town.store.config_set("maxmemory", "1mb"), raise_the_limit
        )
    finally:
        town.store.config_set("maxmemory", limit)
    assert town.restarts() > before


def test_an_emptied_valkey_is_filled_again_by_jobs_that_start_over(town: Any) -> None:
    before, jobs = town.job_ids(), town.stream_jobs()
    town.episode(
        "Valkey emptied, jobs started over",
        town.store.flushall,
        lambda: town.control.start_over(jobs, town.kafka),
    )
    assert not set(town.job_ids().values()) & set(before.values())
    assert town.restarts() == 0
