"""The paired bootstrap: the metrics' own values, the sign of the difference, and intervals that cover."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.comparison import top_overlap
from training.metrics import Array, average_precision, relative_cross_entropy
from training.paired import (
    Paired,
    Weighted,
    average_precision_of,
    paired_means,
    paired_rows,
    pooled_cross_entropy_of,
    relative_cross_entropy_of,
)

READERS = np.repeat(np.arange(40), 25)


def labelled(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Chances and labels drawn from them."""
    rng = np.random.default_rng(seed)
    chances = rng.beta(1.0, 4.0, len(READERS))
    return chances, (rng.random(len(READERS)) < chances).astype(np.float64)


def beside(metric: Callable[[Array, Array], Weighted], labels: Array, first: Array, second: Array) -> Paired:
    return paired_rows(metric(labels, first), metric(labels, second), labels, READERS, seed=0)


def both_kinds(rows: list[tuple[float, float, int]]) -> bool:
    return {label for label, _, weight in rows if weight} == {0.0, 1.0}


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 0.01, 0.3, 0.6, 1.0]), st.integers(0, 3)
        ),
        min_size=2,
        max_size=30,
    ).filter(both_kinds)
)
def test_the_prepared_metrics_are_the_metrics(rows: list[tuple[float, float, int]]) -> None:
    """With tied scores, certain ones, and rows that were not drawn."""
    labels, scores, weights = np.array(rows, dtype=np.float64).T
    expected = average_precision(labels, scores, weights)
    assert average_precision_of(labels, scores)(weights) == pytest.approx(expected)
    expected = relative_cross_entropy(labels, scores, weights)
    assert relative_cross_entropy_of(labels, scores)(weights) == pytest.approx(expected)


def test_the_values_are_the_metrics_of_all_rows() -> None:
    chances, labels = labelled()
    other = np.random.default_rng(1).random(len(labels))
    paired = beside(average_precision_of, labels, chances, other)
    assert paired.first.value == pytest.approx(average_precision(labels, chances))
    assert paired.second.value == pytest.approx(average_precision(labels, other))
    assert paired.difference.value == pytest.approx(paired.first.value - paired.second.value)
    assert 0 < paired.difference.low < paired.difference.value < paired.difference.high


def test_a_model_beside_itself_differs_by_nothing() -> None:
    chances, labels = labelled()
    rows = beside(relative_cross_entropy_of, labels, chances, chances)
    lists = paired_means(chances, chances, READERS, seed=0)
    for paired in (rows, lists):
        assert (paired.difference.value, paired.difference.low, paired.difference.high) == (0, 0, 0)
        assert paired.first.low < paired.first.value < paired.first.high


def test_exchanging_the_models_turns_the_difference_round() -> None:
    chances, labels = labelled()
    worse = np.clip(chances + 0.1, 0, 1)
    ahead = beside(relative_cross_entropy_of, labels, worse, chances).difference
    behind = beside(relative_cross_entropy_of, labels, chances, worse).difference
    assert (ahead.low, ahead.value, ahead.high) == pytest.approx((-behind.high, -behind.value, -behind.low))


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    """Each reader has a difference of their own around 0.1, shared by all their lists."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        second = rng.normal(0.0, 5.0, len(READERS))
        first = second + 0.1 + rng.normal(0.0, 0.2, 40)[READERS] + rng.normal(0.0, 0.1, len(READERS))
        found = paired_means(first, second, READERS, seed).difference
        covered += found.low <= 0.1 <= found.high
    # Lists drawn one by one would cover it in less than half of the runs.
    assert 180 <= covered <= 198


def test_readers_without_a_row_are_not_drawn() -> None:
    values = np.array([1.0, 2.0, 3.0])
    paired = paired_means(values, np.zeros(3), np.array([0, 7, 7]), seed=0)
    assert np.isfinite([paired.first.low, paired.first.high]).all()


def test_a_comparison_without_lists_or_of_one_kind_of_label_is_an_error() -> None:
    nothing = np.empty(0)
    with pytest.raises(ValueError, match="needs lists"):
        paired_means(nothing, nothing, np.empty(0, dtype=np.int64), seed=0)
    ones = np.ones(len(READERS))
    with pytest.raises(ValueError, match="both kinds"):
        beside(average_precision_of, ones, ones, ones)


def test_the_overlap_of_the_first_ten_is_over_longer_lists() -> None:
    requests = np.repeat([0, 1], [12, 4])
    scores = np.arange(16, dtype=np.float64)
    assert top_overlap(requests, scores, scores) == 1.0
    # Of twelve, each order leaves out the other's first two.
    assert top_overlap(requests, scores, -scores) == pytest.approx(0.8)
    assert np.isnan(top_overlap(requests[12:] - 1, scores[12:], scores[12:]))


def test_the_pooled_rce_of_one_head_is_its_own_and_a_rare_head_weighs_little() -> None:
    rng = np.random.default_rng(7)
    chances = rng.beta(1, 4, 5000)
    often = (rng.random(5000) < chances).astype(np.float64)
    rare = (rng.random(5000) < 0.002).astype(np.float64)
    weights = rng.integers(0, 3, 5000).astype(np.float64)
    alone = relative_cross_entropy_of(often, chances)(weights)
    assert pooled_cross_entropy_of([often], [chances])(weights) == pytest.approx(alone)
    noise = np.full(5000, 0.01)
    assert relative_cross_entropy_of(rare, noise)(weights) < -20
    assert alone - 5 < pooled_cross_entropy_of([often, rare], [chances, noise])(weights) < alone


def test_the_pooled_rce_is_a_number_where_a_draw_has_no_positive_of_a_head() -> None:
    weights = np.array([1.0, 1.0, 0.0, 1.0])
    labels = [np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 0.0])]
    found = pooled_cross_entropy_of(labels, [np.full(4, 0.6), np.full(4, 0.01)])(weights)
    assert math.isfinite(found)
