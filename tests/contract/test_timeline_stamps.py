"""Stamps of timelines change with every change, and reading them changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from timelines import commands, entry
from timelines.stamps import stamps

READERS, AUTHOR = (1, 2, 5, 9), 7


def looked(store: Any, kind: Any, owners: Any) -> list[bytes]:
    found: list[bytes] = store.run(lambda client: stamps(client, store.keys, kind, owners))
    return found


def test_a_delivery_changes_the_stamps_of_those_who_got_it_also_while_timelines_are_settled(
    store: Any,
) -> None:
    store.activate(*READERS)
    before = looked(store, "home", READERS)
    assert looked(store, "home", READERS) == before
    for number in range(40):
        tweet = entry.entry(100 + number, AUTHOR, 100 + number, AUTHOR)
        store.deliver([1, 5], tweet)
        after = looked(store, "home", READERS)
        changed = [reader for reader, old, new in zip(READERS, before, after, strict=True) if old != new]
        assert changed == [1, 5]
        before = after


def test_an_appearance_or_its_withdrawal_changes_the_stamp_of_the_outbox(store: Any) -> None:
    seen = [looked(store, "outbox", [AUTHOR])[0]]
    for flags in (entry.RETWEET, entry.RETWEET | entry.WITHDRAWN):
        store.publish(entry.entry(100, AUTHOR, 90, 8, flags))
        seen.append(looked(store, "outbox", [AUTHOR])[0])
    assert len(set(seen)) == 3


def test_a_timeline_that_is_dropped_and_rebuilt_has_another_stamp_in_between(store: Any) -> None:
    store.activate(1)
    (there,) = looked(store, "home", [1])
    store.write(commands.drop_home, 1)
    (gone,) = looked(store, "home", [1])
    assert there != gone


@pytest.mark.parametrize("count", [0, 1, 1200])
def test_stamps_come_in_the_order_asked_for(store: Any, count: int) -> None:
    readers = np.random.default_rng(1).permutation(count).tolist()
    store.activate(*readers[::2])
    there = [stamp not in (b"0", b"") for stamp in looked(store, "home", readers)]
    assert there == [place % 2 == 0 for place in range(count)]
