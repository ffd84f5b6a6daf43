"""The folds behind the engagement features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.aggregates import ACCOUNT, SHOWING, TWEET, EngagementFold, add, decayed, smoothed_rate
from features.names import WINDOWS

HOUR_MS = 3_600_000
KINDS = (TWEET, SHOWING, ACCOUNT)

changes = st.lists(
    st.tuples(
        st.sampled_from(TWEET.slots),
        st.integers(0, 3),
        st.integers(0, 3 * HOUR_MS),
        st.text("abc", min_size=1, max_size=2),
        st.booleans(),
    ),
    max_size=30,
    unique_by=lambda change: (change[2], change[3]),
)


def same(left: np.ndarray, right: np.ndarray) -> bool:
    exact = (left["version"] == right["version"]).all() and (left["counts"] == right["counts"]).all()
    return bool(exact and np.allclose(left["recent"], right["recent"], rtol=1e-9, atol=1e-12))


def marks(log: list) -> list[tuple[int, int, int]]:
    """What a keyed last-writer-wins says of a log as it comes: (slot, sign, moment) of each change."""
    last: dict = {}
    told = []
    for slot, actor, ts, event_id, active in log:
        before = last.get((slot, actor))
        if before is not None and (ts, event_id) <= before[:2]:
            continue
        if before is not None and before[2]:
            told.append((TWEET.slot(slot), -1, before[0]))
        told.append((TWEET.slot(slot), int(active), ts))
        last[slot, actor] = (ts, event_id, active)
    return told


def added(parts: list[list[tuple[int, int, int]]]) -> np.ndarray:
    tally = TWEET.empty(1)
    for part in parts:
        slots, signs, moments = np.array(part, dtype=np.int64).reshape(-1, 3).T
        add(TWEET, tally, np.zeros(len(slots), dtype=np.int64), slots, signs, moments)
    return tally


@settings(deadline=None)
@given(changes, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_repetition_and_batching_ends_in_the_tally_of_the_fold(log, dice, parts) -> None:
    again = [*log, *log]
    dice.shuffle(again)
    told = marks(again)
    size = len(told) // parts + 1
    batches = [told[start : start + size] for start in range(0, len(told), size)]
    assert same(added(batches), EngagementFold(TWEET).apply_all(log).tally())


@settings(deadline=None)
@given(changes, st.randoms(use_true_random=False))
def test_the_fold_does_not_depend_on_order_or_on_repetition(log, dice) -> None:
    again = [*log, *log]
    dice.shuffle(again)
    assert same(EngagementFold(TWEET).apply_all(again).tally(), EngagementFold(TWEET).apply_all(log).tally())


@settings(deadline=None)
@given(changes)
def test_counts_are_the_edges_whose_last_change_is_active(log) -> None:
    last: dict = {}
    for change in sorted(log, key=lambda change: (change[2], change[3])):
        last[change[:2]] = change[4]
    counts = EngagementFold(TWEET).apply_all(log).tally()["counts"][0].tolist()
    assert counts == [sum(active for (kind, _), active in last.items() if kind == s) for s in TWEET.slots]


def test_a_like_taken_back_and_given_again_counts_once() -> None:
    told = marks([("likes", 7, ts, f"e{ts}", active) for ts, active in ((1, True), (2, False), (3, True))])
    assert added([told])["counts"].tolist() == [[1, 0, 0, 0]]


def test_changes_of_the_same_millisecond_are_ordered_by_event_id() -> None:
    fold = EngagementFold(TWEET)
    fold.apply("likes", 7, 5, "b", False)
    fold.apply("likes", 7, 5, "a", True)
    assert fold.tally()["counts"].tolist() == [[0, 0, 0, 0]]


@settings(deadline=None)
@given(changes)
def test_when_all_is_taken_back_nothing_is_left_of_it(log) -> None:
    end = 4 * HOUR_MS
    back = [(slot, actor, end, f"z{i}", False) for i, (slot, actor, *_) in enumerate(log)]
    tally = added([marks([*log, *back])])
    assert not tally["recent"].any()
    assert not tally["counts"].any()


def test_a_steady_rate_fills_a_window_with_what_a_sharp_one_would_hold() -> None:
    every_ms = 1000
    moments = np.arange(0, 30 * 24 * HOUR_MS, every_ms)
    tally = SHOWING.empty(1)
    zeros = np.zeros(len(moments), dtype=np.int64)
    add(SHOWING, tally, zeros, zeros + SHOWING.slot("impressions"), zeros + 1, moments)
    sharp = [seconds * 1000 / every_ms for seconds in WINDOWS.values()]
    assert tally["recent"][0, 0] == pytest.approx(sharp, rel=1e-3)


def test_a_window_read_later_is_the_window_written_later() -> None:
    early, late = TWEET.empty(1), TWEET.empty(1)
    one = np.zeros(1, dtype=np.int64)
    for tally, signs, moments in ((early, one + 1, one), (late, one + 1, one), (late, one, one + HOUR_MS)):
        add(TWEET, tally, one, one, signs, moments)
    read = [decayed(x, HOUR_MS, s) for x, s in zip(early["recent"][0, 0], WINDOWS.values(), strict=True)]
    assert late["recent"][0, 0] == pytest.approx(read)
    assert decayed(2.0, -5, 600) == 2.0


def test_a_late_change_weighs_by_its_own_age() -> None:
    one = np.ones(1, dtype=np.int64)
    orders = ([10 * HOUR_MS, 9 * HOUR_MS], [9 * HOUR_MS, 10 * HOUR_MS])
    tallies = [TWEET.empty(1), TWEET.empty(1)]
    for tally, moments in zip(tallies, orders, strict=True):
        for moment in moments:
            add(TWEET, tally, one - 1, one - 1, one, one * moment)
    assert same(*tallies)


def test_the_numbers_of_slots_say_their_kind() -> None:
    numbers = [number for kind in KINDS for number in kind.numbers]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < 16


def test_no_state_is_an_empty_tally_and_a_foreign_layout_is_refused() -> None:
    tally = TWEET.empty(1)
    assert TWEET.unpack([None, tally.tobytes()])["counts"].tolist() == [[0] * 4] * 2
    with pytest.raises(ValueError, match="layout 9"):
        TWEET.unpack([b"\x09" + tally.tobytes()[1:]])


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0.1, 100))
def test_a_smoothed_rate_lies_between_what_was_seen_and_the_prior(trials, prior, weight) -> None:
    seen = np.array([trials, 0])
    rates = smoothed_rate(seen, seen, prior, weight)
    assert prior - 1e-9 <= rates[0] <= 1 + 1e-9
    assert rates[1] == pytest.approx(prior)


def test_a_rate_without_trials_and_prior_is_refused() -> None:
    with pytest.raises(ValueError, match="No rate"):
        smoothed_rate(np.zeros(1), np.zeros(1), 0.5, 0)
