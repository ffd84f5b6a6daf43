"""A figure with the error it has because other readers might have come.

The unit is the reader: what one reader does is alike, so that impressions are not independent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

NORMAL_95 = 1.959963984540054


class Estimate(NamedTuple):
    """A figure and its standard error; ``low`` and ``high`` bound the 95 % interval. NaN below 2 readers."""

    value: float
    error: float

    @property
    def low(self) -> float:
        return self.value - NORMAL_95 * self.error

    @property
    def high(self) -> float:
        return self.value + NORMAL_95 * self.error


UNKNOWN = Estimate(math.nan, math.nan)


def rate(numerators: Values, denominators: Values) -> Estimate:
    """Sum over sum of one pair per reader, as hides over impressions; the error by the delta method."""
    readers, total = len(denominators), float(denominators.sum())
    if readers < 2 or total == 0:
        return UNKNOWN
    value = float(numerators.sum()) / total
    residuals = numerators - value * denominators
    variance = float(np.square(residuals).sum()) * readers / (readers - 1)
    return Estimate(value, math.sqrt(variance) / total)
