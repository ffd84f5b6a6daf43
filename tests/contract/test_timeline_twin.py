"""The in-memory twin keeps the stored form to the byte, and the server rewrites what older versions stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timelines import commands, timeline
from timelines.entry import RETWEET, WITHDRAWN, Entries, entries
from timelines.memory import AsyncMemoryRedis, MemoryRedis, MemoryStore

from .conftest import StoreUnderTest

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
    memory = MemoryStore()
    twin = StoreUnderTest(MemoryRedis(memory), lambda: AsyncMemoryRedis(memory), store.settings)
    store = store.fresh(store.settings)
    twin.keys = store.keys
    for batch, ordered in zip(log, sort, strict=False):
        for one in (store, twin):
            one.activate(READER)
            one.publish(rows(sorted(batch) if ordered else batch))
            one.deliver([READER], rows(batch))
        for key in (store.keys.home(READER), store.keys.outbox(AUTHOR)):
            assert store.client.get(key) == twin.client.get(key)
        for cells in (1, 3, 100):
            asked = ("newest_entries", 1, store.keys.outbox(AUTHOR), 5, 4, cells)
            assert store.client.fcall(*asked) == twin.client.fcall(*asked)


@pytest.mark.valkey
def test_the_server_rewrites_a_timeline_of_layout_version_1_when_it_touches_it(
    valkey: str, store: Any
) -> None:
    if isinstance(store.client, MemoryRedis):
        pytest.skip("The twin never held version 1.")
    stored = bytes.fromhex(V1.read_text())
    old = timeline.decode(stored)
    home, outbox = store.keys.home(READER), store.keys.outbox(AUTHOR)
    for key in (home, outbox):
        store.client.set(key, stored, px=60_000)
    store.deliver([READER], rows([(1, 0)]))
    store.client.fcall("newest_entries", 1, outbox, 5, 4, 100)
    for key, added in ((home, rows([(1, 0)])), (outbox, rows([]))):
        new = timeline.decode(store.client.get(key))
        assert store.client.get(key)[4] == 2
        assert 0 < store.client.pttl(key) <= 60_000
        expected = timeline.newest(np.concatenate([old.entries, added]))
        assert timeline.newest(new.entries).tolist() == expected.tolist()
        assert (new.complete, new.floor) == (old.complete, old.floor)


def test_a_rebuild_fills_a_timeline_of_layout_version_1(store: Any) -> None:
    if isinstance(store.client, MemoryRedis):
        pytest.skip("The twin never held version 1.")
    incomplete = bytearray(bytes.fromhex(V1.read_text()))
    incomplete[5] = 0
    store.client.set(store.keys.home(READER), bytes(incomplete))
    store.write(commands.set_followee, READER, AUTHOR, 1, True)
    store.publish(rows([(1, 0)]))
    read = store.read(READER)
    assert read.rebuilt
    assert sorted(read.entries["appearance"].tolist()) == [BASE + 1, 0x1122334455667799]
    assert not store.read(READER).rebuilt
