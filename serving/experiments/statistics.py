"""Figures of one arm, with the error they have because other readers might have come.

The unit is the reader: what one reader does is alike, so that impressions are not independent. Every
estimate has a standard error over readers; arms share no reader, so that a difference has one too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from training.estimates import UNKNOWN, Estimate, Values, rate

Ids = NDArray[np.int64]

RESAMPLES = 200
LEAST_LIKELY = 0.001
"""A split of readers that is less likely than this by chance has another cause."""


def mean(values: Values) -> Estimate:
    """The mean of one value per reader."""
    return rate(values, np.ones(len(values)))


def quantile(values: Values, readers: Ids, at: float, seed: int = 0) -> Estimate:
    """A quantile of all values [n], as p99 of latency; the error by a bootstrap that draws readers."""
    order = np.argsort(values)
    ordered = values[order]
    _, reader = np.unique(readers[order], return_inverse=True)
    count = int(reader.max(initial=-1)) + 1
    if count < 2:
        return UNKNOWN
    rng = np.random.default_rng(seed)
    drawn = np.empty(RESAMPLES)
    for turn in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, count, count), minlength=count)[reader]
        drawn[turn] = _quantile(ordered, weights, at)
    return Estimate(_quantile(ordered, np.ones(len(ordered), dtype=np.int64), at), float(drawn.std(ddof=1)))


def concentration(readers: Ids, authors: Ids) -> Estimate:
    """The chance that two impressions [n], shown to two readers, are of one author; the error by a jackknife.

    Unlike a Gini coefficient or the share of the largest authors it does not depend on how many impressions
    there are, so that arms of different sizes can be compared. Leaving one out takes three readers.
    """
    pairs, shown = np.unique(np.stack((readers, authors)), axis=1, return_counts=True)
    _, reader = np.unique(pairs[0], return_inverse=True)
    _, author = np.unique(pairs[1], return_inverse=True)
    if reader.max(initial=-1) < 2:
        return UNKNOWN
    count = int(reader.max()) + 1
    own = np.bincount(reader, weights=shown)
    own_pairs = np.bincount(reader, weights=np.square(shown))
    of_author = np.bincount(author, weights=shown)
    met = np.bincount(reader, weights=shown * of_author[author])
    same = float(np.square(of_author).sum() - own_pairs.sum())
    all_pairs = float(own.sum() ** 2 - np.square(own).sum())
    # Without one reader every pair that the reader had with others is gone, in both orders.
    left_pairs = all_pairs - 2 * own * (own.sum() - own)
    without = (same - 2 * (met - own_pairs)) / left_pairs
    variance = (count - 1) / count * float(np.square(without - without.mean()).sum())
    return Estimate(same / all_pairs, math.sqrt(variance))


def difference(treatment: Estimate, control: Estimate) -> Estimate:
    """How much more the treatment has than the control, of which no reader is the same."""
    return Estimate(treatment.value - control.value, math.hypot(treatment.error, control.error))


@dataclass(frozen=True)
class SampleRatio:
    """Readers expected per arm, and how likely so different a split is if assignment works (chi-square)."""

    expected: Mapping[str, float]
    p_value: float

    @property
    def holds(self) -> bool:
        return self.p_value >= LEAST_LIKELY


def sample_ratio(readers: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatio:
    """Whether the arms have as many readers as their weights, summing to 1, promise; an absent arm has 0."""
    total = sum(readers.get(arm, 0) for arm in weights)
    expected = {arm: weight * total for arm, weight in weights.items()}
    if total == 0 or len(weights) < 2:
        return SampleRatio(expected, 1.0)
    found = [readers.get(arm, 0) for arm in weights]
    return SampleRatio(expected, float(chisquare(found, list(expected.values())).pvalue))


def _quantile(ordered: Values, weights: Ids, at: float) -> float:
    """The smallest value that the share ``at`` of the weight does not exceed."""
    reached = np.cumsum(weights)
    return float(ordered[np.searchsorted(reached, at * reached[-1])])
