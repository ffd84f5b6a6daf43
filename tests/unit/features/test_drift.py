"""The population stability index."""

from __future__ import annotations

import math

import numpy as np
import pytest

from features.drift import BINS, LEAST_SHARE, Histogram, drift, stability_index

RNG = np.random.default_rng(3)


def test_the_index_is_the_sum_of_the_formula() -> None:
    before, after = Histogram([1.0], [0.5, 0.5, 0.0]), Histogram([1.0], [0.8, 0.2, 0.0])
    expected = 0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5)
    assert stability_index(before, after) == pytest.approx(expected)
    assert stability_index(after, before) == pytest.approx(expected)


def test_the_same_distribution_has_next_to_none_and_a_shifted_one_much() -> None:
    reference = Histogram.of(RNG.normal(size=20_000))
    assert len(reference.shares) == BINS + 1
    assert stability_index(reference, reference.again(RNG.normal(size=20_000))) < 0.01
    assert stability_index(reference, reference.again(RNG.normal(1.0, size=20_000))) > 0.25


def test_values_that_go_missing_are_drift() -> None:
    values = RNG.normal(size=1000)
    reference = Histogram.of(values)
    values[:300] = np.nan
    assert reference.again(values).shares[-1] == 0.3
    assert stability_index(reference, reference.again(values)) > 0.25


def test_a_constant_has_two_bins_and_moves_when_it_changes() -> None:
    reference = Histogram.of(np.full(100, 3.0))
    assert reference.edges == [3.0]
    assert stability_index(reference, reference.again(np.full(100, 3.0))) == 0
    assert stability_index(reference, reference.again(np.full(100, 2.0))) > 0.25


def test_an_empty_bin_does_not_make_the_index_infinite() -> None:
    index = stability_index(Histogram([0.0], [1.0, 0.0, 0.0]), Histogram([0.0], [0.0, 1.0, 0.0]))
    assert index == pytest.approx(2 * (1 - LEAST_SHARE) * math.log(1 / LEAST_SHARE))


def test_infinite_and_no_values_have_their_bins() -> None:
    reference = Histogram.of(np.array([0.0, 1.0, 2.0, 3.0]))
    assert reference.again(np.array([np.inf, -np.inf])).shares[0] == 0.5
    assert sum(reference.again(np.array([])).shares) == 0
    assert Histogram.of(np.array([np.nan])).shares == [0.0, 1.0]


def test_features_are_told_by_name() -> None:
    side = {"a": RNG.normal(size=500), "b": RNG.normal(size=500)}
    reference = {name: Histogram.of(values) for name, values in side.items()}
    found = drift(reference, {"a": side["a"], "b": side["b"] + 2})
    assert found["a"] == 0
    assert found["b"] > 0.25


def test_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="same bins"):
        stability_index(Histogram([], [1.0, 0.0]), Histogram([1.0], [1.0, 0.0, 0.0]))
