"""The in-memory twin keeps the stored form to the byte, and the server rewrites older versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_under_test import memory_store

from timelines import timeline
from timelines.entry import RETWEET, WITHDRAWN, Entries, entries
from timelines.memory import MemoryRedis

V1 = Path(__file__).parents[1] / "unit" / "timelines" / "fixtures" / "timeline_v1.hex"
BASE, READER, AUTHOR = 2**60, 9, 7

numbers = st.integers(0, 40)
copies = st.tuples(numbers, st.sampled_from([0, RETWEET, RETWEET | WITHDRAWN]))
batches = st.lists(st.lists(copies, min_size=1, max_size=12), min_size=1, max_size=12)


def rows(batch: list[tuple[int, int]]) -> Entries:
    """One shape per number, so that copies differ in whether they are withdrawn only."""
    return entries(
        [
            (BASE + number, AUTHOR, BASE + (number if number % 3 else 0), AUTHOR, flags & WITHDRAWN)
            for number, flags in batch
        ]
    )


@pytest.mark.valkey
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=batches, sort=st.lists(st.booleans(), min_size=12, max_size=12))
def test_server_and_twin_store_the_same_bytes(store: Any, log: list[Any], sort: list[bool]) -> None:
    twin = memory_store(store.settings)
    store = store.fresh(store.settings)
    twin.keys = store.keys
    for batch, ordered in zip(log, sort, strict=False):
        for one in (store, twin):
            one.activate(READER)
            one.publish(rows(sorted(batch) if ordered else batch))
            one.deliver([READER], rows(batch))
        keys = store.keys
        for key in (keys.home(READER), keys.home_tail(READER), keys.outbox(AUTHOR)):
            assert store.client.get(key) == twin.client.get(key)
        for cells in (1, 3, 100):
            asked = ("newest_entries", 1, store.keys.outbox(AUTHOR), 5, 4, cells)
            assert store.client.fcall(*asked) == twin.client.fcall(*asked)


@pytest.mark.valkey
@pytest.mark.parametrize("touch", ["append", "read"])
def test_the_server_rewrites_an_outbox_of_layout_version_1_when_it_touches_it(store: Any, touch: str) -> None:
    if isinstance(store.client, MemoryRedis):
        pytest.skip("The twin never held version 1.")
    stored = bytes.fromhex(V1.read_text())
    old, outbox, added = timeline.decode(stored), store.keys.outbox(AUTHOR), rows([])
    store.client.set(outbox, stored)
    if touch == "append":
        added = rows([(1, 0)])
        store.publish(added)
    else:
        store.client.fcall("newest_entries", 1, outbox, 5, 4, 100)
    new = store.client.get(outbox)
    assert new[4] == 2
    expected = timeline.newest(np.concatenate([old.entries, added]))
    assert timeline.newest(timeline.decode(new).entries).tolist() == expected.tolist()
    assert timeline.decode(new).floor == old.floor


def test_a_home_timeline_of_layout_version_1_is_rebuilt(store: Any) -> None:
    store.client.set(store.keys.home(READER), bytes.fromhex(V1.read_text()))
    store.follow(READER, AUTHOR)
    store.publish(rows([(1, 0)]))
    assert store.deliver([READER], rows([(2, 0)])) == 0
    read = store.read(READER)
    assert (read.rebuilt, read.entries["appearance"].tolist()) == (True, [BASE + 1])
    assert not store.read(READER).rebuilt
