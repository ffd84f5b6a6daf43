"""Each metric against a value worked out by hand or another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import ndcg_score

from training import metrics

LABELS = np.array([1.0, 0.0, 0.0, 1.0])


def test_a_constant_score_has_an_average_precision_of_the_base_rate() -> None:
    assert metrics.average_precision(LABELS, np.full(4, 0.3)) == pytest.approx(0.5)


def test_average_precision_is_the_mean_precision_at_the_positives() -> None:
    # In score order: positive, negative, negative, positive: precisions 1/1 and 2/4.
    assert metrics.average_precision(LABELS, np.array([0.9, 0.8, 0.7, 0.6])) == pytest.approx(0.75)


def test_auc_counts_a_tie_as_one_half() -> None:
    assert metrics.area_under_roc(np.array([1.0, 0.0]), np.array([0.5, 0.5])) == 0.5


def test_log_loss_agrees_with_sklearn() -> None:
    predicted = np.array([0.7, 0.2, 0.4, 0.9])
    assert metrics.log_loss(LABELS, predicted) == pytest.approx(sklearn_log_loss(LABELS, predicted))


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    assert metrics.log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-np.log(1e-15))


def test_rce_is_zero_for_the_base_rate_and_near_a_hundred_for_the_truth() -> None:
    assert metrics.relative_cross_entropy(LABELS, np.full(4, 0.5)) == pytest.approx(0.0)
    assert metrics.relative_cross_entropy(LABELS, LABELS) == pytest.approx(100.0)


def test_rce_is_the_share_of_the_reference_cross_entropy_saved() -> None:
    predicted = np.array([0.8, 0.2, 0.2, 0.8])
    expected = 100 * (np.log(2) + np.log(0.8)) / np.log(2)
    assert metrics.relative_cross_entropy(LABELS, predicted) == pytest.approx(expected)


def test_rce_is_negative_for_probabilities_worse_than_the_base_rate() -> None:
    assert metrics.relative_cross_entropy(LABELS, 1 - LABELS * 0.9) < 0


def test_rce_of_labels_of_one_kind_is_not_a_number() -> None:
    assert np.isnan(metrics.relative_cross_entropy(np.ones(3), np.full(3, 0.9)))


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    predicted = np.array([0.1, 0.1, 0.9, 0.9])
    seen = np.array([0.0, 0.0, 1.0, 0.0])
    # Bins: |0.1 - 0| and |0.9 - 0.5|, two rows each.
    assert metrics.calibration_error(seen, predicted, bins=2) == pytest.approx(0.25)


def test_places_restart_in_every_request() -> None:
    requests = np.array([0, 1, 0, 1, 0])
    scores = np.array([0.1, 0.5, 0.9, 0.7, 0.4])
    assert metrics.places(requests, scores).tolist() == [2, 1, 0, 0, 1]


def test_tied_rows_are_not_placed_by_how_the_list_was_recorded() -> None:
    requests = np.repeat(np.arange(2000), 2)
    first = np.tile([1.0, 0.0], 2000)
    at_top = metrics.places(requests, np.zeros(4000))[first == 1] == 0
    assert 0.45 < at_top.mean() < 0.55


def test_reciprocal_rank_is_that_of_the_first_positive() -> None:
    requests = np.array([0, 0, 0, 1, 1])
    labels = np.array([0.0, 1.0, 1.0, 0.0, 0.0])
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    assert metrics.reciprocal_ranks(requests, labels, scores).tolist() == [0.5, 0.0]


def test_ndcg_agrees_with_sklearn_list_by_list() -> None:
    rng = np.random.default_rng(3)
    requests = np.repeat(np.arange(20), 15)
    labels = (rng.random(300) < 0.3).astype(np.float64)
    scores = rng.random(300)
    expected = [ndcg_score([labels[requests == r]], [scores[requests == r]], k=10) for r in range(20)]
    assert metrics.ndcg(requests, labels, scores) == pytest.approx(expected)


def test_only_lists_of_both_kinds_can_be_ranked() -> None:
    requests = np.array([0, 0, 1, 1, 2, 2])
    labels = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    assert metrics.rankable(requests, labels).tolist() == [True, False, False]


def test_the_interval_of_a_mean_holds_it_and_narrows_with_more_lists() -> None:
    rng = np.random.default_rng(1)
    few, many = (metrics.mean_interval(rng.random(size), seed=5) for size in (30, 3000))
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 3


def test_an_interval_is_repeatable_by_its_seed() -> None:
    values = np.random.default_rng(1).random(50)
    assert metrics.mean_interval(values, seed=5) == metrics.mean_interval(values, seed=5)


def test_the_interval_of_rows_draws_whole_requests() -> None:
    # All rows of a request are copies: the interval must be that of 20 requests, not of 2,000 rows.
    rng = np.random.default_rng(2)
    labels = (rng.random(20) < 0.5).astype(np.float64)
    scores = np.clip(labels * 0.3 + rng.random(20) * 0.7, 0.01, 0.99)
    once = metrics.row_interval(metrics.relative_cross_entropy, np.arange(20), labels, scores, seed=1)
    copies = metrics.row_interval(
        metrics.relative_cross_entropy,
        np.repeat(np.arange(20), 100),
        np.repeat(labels, 100),
        np.repeat(scores, 100),
        seed=1,
    )
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high))


def test_authors_are_grouped_by_followers_with_the_unknown_apart() -> None:
    followers = np.array([np.nan, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    assert metrics.popularity_groups(followers).tolist() == [-1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
