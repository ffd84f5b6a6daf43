"""A spread author is merged at read while any share of the followers needs it."""

from __future__ import annotations

from typing import Any

from timelines import commands


def pulled(store: Any) -> set[int]:
    return {int(author) for author in store.client.smembers(store.keys.pulled())}


def unmark(store: Any, share: int, *authors: int) -> int:
    (gone,) = store.write(commands.unmark_pulled_share, list(authors), share, 3)
    return int(gone)


def test_the_mark_goes_with_the_last_share(store: Any) -> None:
    store.write(commands.mark_pulled_shares, [7, 8], range(3))
    assert [unmark(store, share, 7) for share in (2, 0)] == [0, 0]
    assert pulled(store) == {7, 8}
    assert unmark(store, 1, 7) == 1
    assert pulled(store) == {8}


def test_marking_and_unmarking_again_changes_nothing(store: Any) -> None:
    for _ in range(2):
        store.write(commands.mark_pulled_shares, [7], [1])
    assert [unmark(store, 1, 7) for _ in range(2)] == [1, 0]
    assert pulled(store) == set()


def test_readers_notice_that_the_pulled_authors_changed(store: Any) -> None:
    store.write(commands.mark_pulled_shares, [7], [0])
    stamp = store.client.get(store.keys.pulled_stamp())
    unmark(store, 0, 7)
    assert store.client.get(store.keys.pulled_stamp()) != stamp
