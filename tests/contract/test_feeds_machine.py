"""Feeds out of the fan-out code equal a plain model on real servers too, whatever crashes or comes again.

``TIDELINE_SEED`` repeats a run; the seed is printed. ``TIDELINE_EXAMPLES`` is how many histories are tried.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import pytest
from feeds_machine import WIDE_BAND, Feeds
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from pipelines.stream import tiers


@pytest.mark.parametrize("store", ["valkey", "valkey_cluster"], indirect=True)
@pytest.mark.valkey
def test_feeds_of_real_servers_equal_the_model(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "STAYS_PULLED", WIDE_BAND)
    number = int(os.environ.get("TIDELINE_SEED") or secrets.randbelow(1 << 32))
    print(f"TIDELINE_SEED={number}")
    steps = settings(
        max_examples=int(os.environ.get("TIDELINE_EXAMPLES", "4")),
        stateful_step_count=30,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(lambda: Feeds(store)), settings=steps)
