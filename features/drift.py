"""How far a distribution has moved: the population stability index.

PSI = sum over bins of (actual - expected) * ln(actual / expected), of the shares of the two sides (Siddiqi,
Credit Risk Scorecards, 2006, ch. 10; the symmetric Kullback-Leibler divergence). The usual reading: below 0.1
nothing has moved, from 0.25 on much has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.names import CONTEXT_FEATURES, TWEET_CONTENT

BINS = 10
# An empty bin counts as this share, or one value in it would make the index infinite.
LEAST_SHARE = 1e-4

Values = NDArray[np.floating[Any]]

_SETTLED = frozenset({*TWEET_CONTENT.columns, *(feature.name for feature in CONTEXT_FEATURES)})


def judged(name: str) -> bool:
    """Whether a feature's distribution should stay as it is: counts and recencies of a running deployment
    move by nature, and are told without being judged."""
    return name in _SETTLED or name.endswith("_rate")


class Histogram(msgspec.Struct, frozen=True):
    """Shares of values between ``edges``: below the first, ..., from the last on, and missing."""

    edges: Sequence[float]
    shares: Sequence[float]

    @classmethod
    def of(cls, values: Values, bins: int = BINS) -> Histogram:
        """In bins that hold equal shares of the values [n], as far as they differ; NaN is missing."""
        known = values[~np.isnan(values)]
        cuts = np.quantile(known, np.arange(1, bins) / bins) if len(known) else np.empty(0)
        return cls._with(np.unique(cuts), values)

    def again(self, values: Values) -> Histogram:
        """Of other values [n] in the same bins."""
        return self._with(np.asarray(self.edges, dtype=np.float64), values)

    @classmethod
    def _with(cls, edges: NDArray[np.float64], values: Values) -> Histogram:
        places = np.searchsorted(edges, values, side="right")
        places[np.isnan(values)] = len(edges) + 1
        counts = np.bincount(places, minlength=len(edges) + 2)
        return cls(edges.tolist(), (counts / max(len(values), 1)).tolist())


def stability_index(expected: Histogram, actual: Histogram) -> float:
    """PSI of two histograms over the same bins; 0 for the same shares.

    Raises:
        ValueError: the bins are not the same.
    """
    if len(expected.shares) != len(actual.shares):
        raise ValueError("Only histograms over the same bins can be compared.")
    before, after = (np.maximum(side.shares, LEAST_SHARE) for side in (expected, actual))
    return float(np.sum((after - before) * np.log(after / before)))


def drift(reference: Mapping[str, Histogram], values: Mapping[str, Values]) -> dict[str, float]:
    """The index of each feature that both sides have, in the reference's order."""
    return {
        name: stability_index(histogram, histogram.again(values[name]))
        for name, histogram in reference.items()
        if name in values
    }
