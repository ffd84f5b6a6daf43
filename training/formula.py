"""The score formula: one versioned weighted sum of calibrated probabilities.

A weight multiplies a probability, so it means the same for every model only if the heads are calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FORMULA_VERSION = "weighted-sum-2"
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "liked": 0.5,
    "retweeted": 1.0,
    "replied": 1.0,
    "opened": 0.2,
    "dwelt": 0.1,
    "hidden": -2.0,
}
"""What each of ``features.labels.HEADS`` is worth: the model has the weights of the heads that it has."""
FLOOR = 0.001
"""Width of the band just above zero that net-negative sums are squeezed into."""


def worth(
    values: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float] = DEFAULT_WEIGHTS
) -> NDArray[np.float64]:
    """The weighted sum over the heads: of labels what an item brought, of probabilities what it may."""
    return np.asarray(np.sum([weights[head] * values[head] for head in weights], axis=0), dtype=np.float64)


def combine(
    probabilities: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """One score per row from one probability per head and row.

    A weighted sum ``s`` of zero or more scores ``s + FLOOR``. A net-negative one (a head with a negative
    weight outweighs the rest) scores ``FLOOR * (s + n) / (n + p)`` with ``n`` and ``p`` the sums of the
    negative and of the positive weights' sizes: below every other row, in the same order, yet never below
    zero, so that a later penalty multiplier cannot raise it. A missing probability makes the score NaN,
    which is unscored, not zero.

    Raises:
        ValueError: the heads of ``probabilities`` and ``weights`` differ, or there is none.
    """
    if not weights or probabilities.keys() != weights.keys():
        raise ValueError("The score formula needs exactly one weight for each head.")
    total = worth(probabilities, weights)
    negative = sum(-weight for weight in weights.values() if weight < 0)
    size = sum(abs(weight) for weight in weights.values())
    squeezed = FLOOR * (total + negative) / size if size else np.zeros_like(total)
    return np.asarray(np.where(total < 0, squeezed, total + FLOOR), dtype=np.float64)
