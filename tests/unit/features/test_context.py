"""The features of the request."""

from __future__ import annotations

import numpy as np

from features.context import context_features
from features.names import CONTEXT_FEATURES
from timelines.durations import HOUR_MS

NOON = 1_350_000_000_000 // (24 * HOUR_MS) * 24 * HOUR_MS + 12 * HOUR_MS


def test_columns_are_age_hour_and_retweet_in_the_order_of_their_names() -> None:
    assert [feature.name for feature in CONTEXT_FEATURES] == [
        "context_age_hours",
        "context_hour",
        "context_is_retweet",
    ]
    matrix = context_features(
        np.array([NOON - HOUR_MS // 2, NOON - 48 * HOUR_MS]), np.array([True, False]), NOON
    )
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[0.5, 12, 1], [48, 12, 0]]


def test_each_candidate_may_have_its_own_moment() -> None:
    moments = np.array([NOON, NOON + 13 * HOUR_MS])
    matrix = context_features(np.array([NOON, NOON]), np.zeros(2, dtype=bool), moments)
    assert matrix.tolist() == [[0, 12, 0], [13, 1, 0]]


def test_an_unknown_creation_is_missing_and_one_in_the_future_has_age_zero() -> None:
    matrix = context_features(np.array([-1, NOON + 5]), np.zeros(2, dtype=bool), NOON)
    assert np.isnan(matrix[0, 0])
    assert matrix[1, 0] == 0


def test_no_candidates_give_an_empty_matrix() -> None:
    assert context_features(np.array([], dtype=np.int64), np.array([], dtype=bool), NOON).shape == (0, 3)
