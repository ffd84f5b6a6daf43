"""Intervals hold the truth as often as they say, of readers alike in what they do and unlike each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from serving.experiments.statistics import (
    concentration,
    difference,
    mean,
    quantile,
    sample_ratio,
)
from training.estimates import UNKNOWN, Estimate, rate

SEEDS = 400
# 0.95 of 400 has a deviation of 0.011; a normal interval of a few hundred readers may be a little narrow.
COVERED = (0.91, 0.985)


def readers(rng: np.random.Generator, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Acts and impressions per reader: each has a habit of their own, 0.1 on average, and a number of pages.

    Readers of many pages act less, so that the mean of the readers' rates is not the rate of all.
    """
    shown = rng.integers(1, 40, count).astype(np.float64)
    habit = rng.beta(1, 9, count) * np.where(shown > 20, 0.5, 1.5)
    return rng.binomial(shown.astype(np.int64), np.minimum(habit, 1)).astype(np.float64), shown


TRUE_RATE = 0.1 * (0.5 * sum(range(21, 40)) + 1.5 * sum(range(1, 21))) / sum(range(1, 40))


def covered(estimates: list[Estimate], truth: float) -> float:
    return sum(estimate.low <= truth <= estimate.high for estimate in estimates) / len(estimates)


def test_the_interval_of_a_rate_holds_the_truth_as_often_as_it_says() -> None:
    estimates = [rate(*readers(np.random.default_rng(seed))) for seed in range(SEEDS)]
    # A habit above 2/3 is cut off at 1, which moves the truth by less than a thousandth of it.
    assert COVERED[0] < covered(estimates, TRUE_RATE) < COVERED[1]


def test_readers_of_one_rate_leave_no_doubt_of_it_however_much_they_read() -> None:
    shown = np.array([10.0, 20.0, 400.0])
    assert rate(shown / 10, shown) == pytest.approx((0.1, 0.0))


def test_impressions_counted_as_independent_would_be_surer_than_they_may() -> None:
    acts, shown = readers(np.random.default_rng(0))
    estimate = rate(acts, shown)
    naive = math.sqrt(estimate.value * (1 - estimate.value) / shown.sum())
    assert estimate.error > 1.3 * naive


def test_the_interval_of_a_difference_holds_the_truth_and_finds_an_effect() -> None:
    none, some = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        control, same, (acts, shown) = rate(*readers(rng)), rate(*readers(rng)), readers(rng)
        none.append(difference(same, control))
        some.append(difference(rate(acts + rng.binomial(shown.astype(np.int64), 0.05), shown), control))
    assert COVERED[0] < covered(none, 0.0) < COVERED[1]
    assert COVERED[0] < covered(some, 0.05) < COVERED[1]
    assert sum(estimate.low > 0 for estimate in some) / SEEDS > 0.9


def test_a_mean_is_that_of_the_readers() -> None:
    estimate = mean(np.array([1.0, 2.0, 3.0, 4.0]))
    assert estimate.value == 2.5
    assert estimate.error == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)


def test_the_interval_of_a_quantile_holds_the_truth_for_readers_with_slow_networks() -> None:
    estimates = []
    for seed in range(SEEDS // 2):
        rng = np.random.default_rng(seed)
        network = rng.normal(0, 0.3, 300)
        reader = np.repeat(np.arange(300), 10)
        estimates.append(quantile(np.exp(3 + network[reader] + rng.normal(0, 0.4, 3000)), reader, 0.9, seed))
    truth = math.exp(3 + 0.5 * norm.ppf(0.9))
    assert 0.89 < covered(estimates, truth) < 0.99


def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed() -> None:
    values = np.arange(1.0, 101.0)
    assert quantile(values, np.arange(100), 0.99).value == 99
    assert quantile(values[::-1], np.arange(100), 0.5).value == 50
    assert quantile(values, np.arange(100), 0.99, seed=3) == quantile(values, np.arange(100), 0.99, seed=3)


def shown_authors(rng: np.random.Generator, count: int, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Impressions of readers who are each shown one author again and again, and others by these chances."""
    reader = np.repeat(np.arange(count), 12)
    favourite = rng.choice(len(chances), count, p=chances)
    drawn = rng.choice(len(chances), len(reader), p=chances)
    return reader, np.where(rng.random(len(reader)) < 0.5, favourite[reader], drawn)


def test_concentration_is_the_chance_that_two_readers_are_shown_one_author() -> None:
    chances = 1 / np.arange(1, 41)
    chances /= chances.sum()
    estimates = [
        concentration(*shown_authors(np.random.default_rng(seed), 200, chances)) for seed in range(SEEDS)
    ]
    truth = float(np.square(chances).sum())
    assert np.mean([estimate.value for estimate in estimates]) == pytest.approx(truth, rel=0.01)
    assert COVERED[0] < covered(estimates, truth) < COVERED[1]


def test_concentration_is_counted_over_pairs_of_impressions_of_two_readers() -> None:
    reader, author = np.array([1, 1, 2, 2, 3, 3]), np.array([7, 7, 7, 8, 8, 9])
    pairs = [(a, b) for a in range(6) for b in range(6) if reader[a] != reader[b]]
    assert concentration(reader, author).value == pytest.approx(
        sum(author[a] == author[b] for a, b in pairs) / len(pairs)
    )


def test_the_error_of_concentration_is_that_of_leaving_each_reader_out() -> None:
    reader, author = shown_authors(np.random.default_rng(1), 20, np.full(5, 0.2))
    without = [concentration(reader[reader != one], author[reader != one]).value for one in range(20)]
    expected = math.sqrt(19 / 20 * np.square(np.array(without) - np.mean(without)).sum())
    assert concentration(reader, author).error == pytest.approx(expected)


def test_a_larger_arm_is_not_more_concentrated() -> None:
    chances = np.full(50, 0.02)
    small, large = (
        concentration(*shown_authors(np.random.default_rng(count), count, chances)) for count in (100, 2000)
    )
    assert abs(difference(large, small).value) < 3 * difference(large, small).error


def test_concentration_among_two_readers_is_unknown_since_none_can_be_left_out() -> None:
    assert concentration(np.array([1, 1, 2]), np.array([7, 8, 7])) == UNKNOWN


def test_figures_of_fewer_than_two_readers_are_unknown() -> None:
    nobody, one = np.empty(0), np.ones(1)
    no_ids, an_id = np.empty(0, dtype=np.int64), np.ones(1, dtype=np.int64)
    for estimate in (
        rate(nobody, nobody),
        rate(one, one),
        rate(np.zeros(3), np.zeros(3)),
        quantile(nobody, no_ids, 0.5),
        quantile(one, an_id, 0.5),
        concentration(no_ids, no_ids),
        concentration(an_id, an_id),
    ):
        assert math.isnan(estimate.value)
        assert not estimate.low > 0


def test_a_fair_split_is_doubted_no_more_often_than_once_in_a_thousand() -> None:
    weights = {"control": 0.5, "one": 0.3, "two": 0.2}
    rng = np.random.default_rng(5)
    p_values = [
        sample_ratio(
            dict(zip(weights, rng.multinomial(10_000, list(weights.values())), strict=True)), weights
        )
        for _ in range(2000)
    ]
    assert sum(not split.holds for split in p_values) <= 8
    assert np.mean([split.p_value < 0.5 for split in p_values]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("readers", [{"control": 5000, "one": 4600}, {"control": 100}])
def test_a_split_that_lost_readers_is_found(readers: dict[str, int]) -> None:
    assert not sample_ratio(readers, {"control": 0.5, "one": 0.5}).holds


def test_nobody_and_a_single_arm_are_no_reason_for_doubt() -> None:
    assert sample_ratio({}, {"control": 0.5, "one": 0.5}).holds
    assert sample_ratio({"control": 3}, {"control": 1.0}).expected == {"control": 3.0}
