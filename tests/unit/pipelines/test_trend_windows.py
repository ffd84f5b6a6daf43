"""Sliding counts equal plain sets, whatever comes and when."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.trends import windows as windows_module
from pipelines.trends.plan import Window
from pipelines.trends.recent_tweets import contributions
from pipelines.trends.windows import Windows

PLAN = (Window("short", 2, 1, 1, 4), Window("long", 5, 1, 1, 8))
Rows = list[tuple[int, int]]
rows_of_a_pane = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12)


def enter(windows: Windows, pane: int, rows: Rows) -> None:
    terms = np.asarray([term for term, _ in rows], np.uint64) + np.uint64(100)
    distinct, which = np.unique(terms, return_inverse=True)
    slots = windows.term_slots(distinct, distinct, np.zeros(len(distinct), np.int64))
    authors = np.asarray([author for _, author in rows], np.uint32)
    windows.enter(pane, slots[which], contributions(authors, np.zeros(len(rows), np.uint8)))


def counted(windows: Windows, i: int) -> dict[int, tuple[int, int]]:
    """Term -> (count, authors), where there are any."""
    columns = (windows.terms[name].tolist() for name in ("term", f"count_{i}", f"authors_{i}"))
    return {term - 100: (count, authors) for term, count, authors in zip(*columns, strict=True) if count}


def plain(panes: dict[int, set[tuple[int, int]]], now: int, size: int) -> dict[int, tuple[int, int]]:
    """The same by plain sets."""
    inside = {pane: rows for pane, rows in panes.items() if now - size < pane <= now}
    terms = {term for rows in inside.values() for term, _ in rows}
    return {
        term: (
            sum(1 for rows in inside.values() for other, _ in rows if other == term),
            len({author for rows in inside.values() for other, author in rows if other == term}),
        )
        for term in terms
    }


@given(st.lists(st.tuples(rows_of_a_pane, st.integers(0, 7), rows_of_a_pane), min_size=1, max_size=14))
def test_counts_and_distinct_authors_equal_plain_sets_late_panes_included(
    log: list[tuple[Rows, int, Rows]],
) -> None:
    windows, panes = Windows(PLAN, {}), dict[int, set[tuple[int, int]]]()
    windows.start(0)
    for pane, (rows, back, late) in enumerate(log):
        windows.slide()
        enter(windows, pane, rows)
        panes.setdefault(pane, set()).update(rows)
        if pane - back >= 0:
            enter(windows, pane - back, late)
            if back < 5:
                panes.setdefault(pane - back, set()).update(late)
        for i, window in enumerate(PLAN):
            assert counted(windows, i) == plain(panes, pane, window.panes)


@given(st.lists(rows_of_a_pane, min_size=1, max_size=12), st.integers(0, 11))
def test_forgetting_and_packing_change_no_count(log: list[Rows], at: int) -> None:
    windows, panes = Windows(PLAN, {}), dict[int, set[tuple[int, int]]]()
    windows.start(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows_module, "COMPACT_FROM", 0)
        for pane, rows in enumerate(log):
            windows.slide()
            enter(windows, pane, rows)
            panes[pane] = set(rows)
            windows.compact(1000, 1000)
            if pane == at:
                packed = msgspec.msgpack.decode(msgspec.msgpack.encode(windows.pack()))
                windows = Windows(PLAN, {})
                windows.unpack(packed)
            for i, window in enumerate(PLAN):
                assert counted(windows, i) == plain(panes, pane, window.panes)


@given(st.lists(rows_of_a_pane, min_size=2, max_size=10), st.integers(0, 9), st.sets(st.integers(0, 5)))
def test_authors_left_out_are_out_of_every_window_that_holds_them(
    log: list[Rows], at: int, left_out: set[int]
) -> None:
    windows, panes = Windows(PLAN, {}), dict[int, set[tuple[int, int]]]()
    windows.start(0)
    for pane, rows in enumerate(log):
        windows.slide()
        enter(windows, pane, rows)
        panes[pane] = set(rows)
        if pane == at:
            windows.leave_out(np.asarray(sorted(left_out), np.uint64))
            panes = {p: {row for row in found if row[1] not in left_out} for p, found in panes.items()}
        for i, window in enumerate(PLAN):
            assert counted(windows, i) == plain(panes, pane, window.panes)


occurrences = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=10, unique=True
)


@given(
    st.lists(st.tuples(occurrences, st.integers(0, 6), occurrences), min_size=2, max_size=10),
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3), st.integers(0, 2)), max_size=12
    ),
)
def test_tweets_taken_back_are_out_of_every_window_that_holds_them(
    log: list[tuple[list[tuple[int, int, int]], int, list[tuple[int, int, int]]]],
    taken: list[tuple[int, int, int, int]],
) -> None:
    """Occurrences are (term, author, turn); ``taken`` (when, pane, author, turn)."""
    windows, panes = Windows(PLAN, {}), dict[int, set[tuple[int, int, int]]]()
    windows.start(0)
    for now, (rows, back, late) in enumerate(log):
        windows.slide()
        for pane, brought in ((now, rows), (max(0, now - back), late)):
            enter_tweets(windows, pane, brought)
            if pane > now - 5:
                panes.setdefault(pane, set()).update(brought)
        gone = [(pane, author, turn) for when, pane, author, turn in taken if when == now]
        windows.take_back(
            np.asarray([pane for pane, _, _ in gone], np.int64),
            contributions(
                np.asarray([author for _, author, _ in gone], np.uint32),
                np.asarray([turn for _, _, turn in gone], np.uint8),
            ),
        )
        for pane, author, turn in gone:
            panes[pane] = {row for row in panes.get(pane, set()) if row[1:] != (author, turn)}
        for i, window in enumerate(PLAN):
            inside = {pane: found for pane, found in panes.items() if now - window.panes < pane <= now}
            pairs = [{(term, author) for term, author, _ in found} for found in inside.values()]
            assert counted(windows, i) == {
                term: (
                    sum(one == term for pane_pairs in pairs for one, _ in pane_pairs),
                    len({author for pane_pairs in pairs for one, author in pane_pairs if one == term}),
                )
                for term in {term for pane_pairs in pairs for term, _ in pane_pairs}
            }


def enter_tweets(windows: Windows, pane: int, rows: list[tuple[int, int, int]]) -> None:
    terms, authors, turns = (
        (np.asarray(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    )
    distinct, which = np.unique(np.asarray(terms, np.uint64) + np.uint64(100), return_inverse=True)
    slots = windows.term_slots(distinct, distinct, np.zeros(len(distinct), np.int64))
    tweets = contributions(np.asarray(authors, np.uint32), np.asarray(turns, np.uint8))
    windows.enter(pane, slots[which], tweets)


def test_history_is_the_weighted_mean_of_the_panes_that_have_left() -> None:
    windows = Windows(PLAN, {})
    windows.start(0)
    counts = [3, 0, 1, 2, 0, 4, 1, 1]
    for pane, count in enumerate(counts):
        windows.slide()
        enter(windows, pane, [(0, author) for author in range(count)])
    left = np.asarray(counts[: len(counts) - 2], float)
    weights = 0.5 ** (np.arange(len(left))[::-1] / 4)
    moments = windows.history(0, np.asarray([0]))
    assert moments.first[0] / moments.weight == pytest.approx(np.average(left, weights=weights), rel=1e-5)
    assert moments.second[0] / moments.weight == pytest.approx(np.average(left**2, weights=weights), rel=1e-5)


def test_beyond_its_bound_the_rarest_terms_are_forgotten() -> None:
    windows = Windows(PLAN, {})
    windows.start(0)
    windows.slide()
    enter(windows, 0, [(0, author) for author in range(20)] + [(term, 0) for term in range(1, 40)])
    windows.compact(50, 1000)
    assert counted(windows, 1) == {0: (20, 20)}


@given(st.lists(st.sets(st.integers(0, 30), min_size=1), max_size=12), st.integers(2, 120))
def test_no_more_is_forgotten_than_the_bound_asks_for(terms: list[set[int]], bound: int) -> None:
    windows = Windows(PLAN, {})
    windows.start(0)
    windows.slide()
    enter(windows, 0, [(term, author) for term, authors in enumerate(terms) for author in authors])
    windows.compact(bound, 1000)
    kept = counted(windows, 1)
    by_size = {size: [len(authors) for authors in terms if len(authors) > size] for size in range(32)}
    room = bound // 2 if sum(map(len, terms)) >= bound else sum(map(len, terms))
    rare = next(size for size, larger in by_size.items() if sum(larger) <= room)
    assert kept == {
        term: (len(authors), len(authors)) for term, authors in enumerate(terms) if len(authors) > rare
    }
