"""The vectorised folds against a plain loop over the same events."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.aggregates import decayed
from features.running import UNKNOWN, Running, pair_keys

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 2)), max_size=30)
QUESTIONS = st.lists(st.tuples(st.integers(0, 4), st.integers(-5, 50)), min_size=1, max_size=10)


def running(events: list[tuple[int, int, int]]) -> Running:
    keys, times, values = (np.array([event[place] for event in events], dtype=np.int64) for place in range(3))
    return Running(keys, times, values.astype(np.float64))


def asked(questions: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.array(column, dtype=np.int64) for column in zip(*questions, strict=True))


@given(EVENTS, QUESTIONS)
@settings(derandomize=True, max_examples=60)
def test_every_answer_is_that_of_a_loop_over_the_events_strictly_before(events, questions):
    log, (keys, times) = running(events), asked(questions)
    before = [sorted((ts, value) for key, ts, value in events if key == k and ts < t) for k, t in questions]
    assert log.count(keys, times).tolist() == [len(past) for past in before]
    assert log.total(keys, times).tolist() == [sum(value for _, value in past) for past in before]
    recent = [sum(ts >= t - 7 for ts, _ in past) for past, (_, t) in zip(before, questions, strict=True)]
    assert log.count(keys, times, within_ms=7).tolist() == recent
    faded = [
        sum(decayed(value, t - ts, 0.009) for ts, value in past)
        for past, (_, t) in zip(before, questions, strict=True)
    ]
    np.testing.assert_allclose(log.decayed(keys, times, 9.0), faded, rtol=1e-9, atol=1e-12)
    for found, place in ((log.since_last(keys, times), -1), (log.since_first(keys, times), 0)):
        for hours, past, (_, t) in zip(found, before, questions, strict=True):
            assert math.isnan(hours) if not past else hours == pytest.approx((t - past[place][0]) / 3_600_000)


def test_nothing_is_known_of_an_unknown_key():
    log = running([(1, 5, 1)])
    keys, times = np.array([UNKNOWN]), np.array([10])
    for answer in (log.count, log.total, log.since_last, log.since_first):
        assert np.isnan(answer(keys, times)).all()
    assert np.isnan(log.decayed(keys, times, 1.0)).all()


def test_without_events_every_key_has_none():
    log = running([])
    keys, times = np.array([0, 7]), np.array([10, 20])
    assert log.count(keys, times).tolist() == [0, 0]
    assert log.decayed(keys, times, 1.0).tolist() == [0, 0]
    assert np.isnan(log.since_last(keys, times)).all()


def test_a_pair_is_known_only_if_both_its_members_are():
    keys = pair_keys(np.array([1, UNKNOWN, 2, 1]), np.array([2, 2, UNKNOWN, 2]))
    assert keys[1] == keys[2] == UNKNOWN
    assert keys[0] == keys[3] >= 0
    assert pair_keys(np.array([2]), np.array([1])) != keys[0]
