"""Feeds out of the fan-out code equal a plain model on real servers too, whatever crashes or comes again.

``TIDELINE_SEED`` repeats a run; the seed is printed. ``TIDELINE_EXAMPLES`` is how many histories are tried.
"""

from __future__ import annotations

from typing import Any

import pytest
from feeds_machine import WIDE_BAND, run_histories

from pipelines.stream import tiers


@pytest.mark.parametrize("store", ["valkey", "valkey_cluster"], indirect=True)
@pytest.mark.valkey
def test_feeds_of_real_servers_equal_the_model(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "STAYS_PULLED", WIDE_BAND)
    run_histories(lambda: store, examples=4, steps=30)
