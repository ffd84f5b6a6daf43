"""Logistic regression on signed logarithms of the features: a baseline, and a part of the list model.

It bends less than trees do where what comes later differs from what was learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Array = NDArray[np.float64]

MOST_DEVIATIONS = 10.0
"""A feature further from its mean counts as this far: what hardly ever was before may be common later."""
LEAST_SCALE = 1e-6
PENALTY = 100.0


@dataclass(frozen=True)
class LinearModel:
    """Log-odds as a weighed sum of the scaled logarithms; ``mean``, ``scale``, ``weights``: [features]."""

    mean: Array
    scale: Array
    weights: Array
    intercept: float

    def log_odds(self, matrix: Matrix) -> Array:
        """Of rows float32 [n, features], float64 [n]; a missing feature counts as its mean."""
        return np.asarray(_scaled(matrix, self.mean, self.scale) @ self.weights + self.intercept)


def fit_linear(matrix: Matrix, labels: Array) -> LinearModel:
    """Learned with a ridge penalty from rows [n, features] and labels of both kinds [n]."""
    # Not at the top: nothing but a training run fits one, and scikit-learn takes seconds to load.
    from sklearn.linear_model import LogisticRegression

    values = _logarithms(matrix).astype(np.float64)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.where(known, values - mean, 0.0)
    scale = np.sqrt((spread**2).sum(axis=0) / count)
    # A constant feature has no scale; it stays at zero.
    scale = np.where(scale < LEAST_SCALE, np.inf, scale)
    model = LogisticRegression(C=1 / PENALTY, max_iter=100, tol=1e-3).fit(
        _scaled(matrix, mean, scale), labels
    )
    weights = np.asarray(model.coef_[0], dtype=np.float64)
    return LinearModel(mean, scale, weights, float(model.intercept_[0]))


def _scaled(matrix: Matrix, mean: Array, scale: Array) -> Matrix:
    scaled = np.nan_to_num((_logarithms(matrix) - mean) / scale)
    return np.asarray(np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS), dtype=np.float32)


def _logarithms(matrix: Matrix) -> Matrix:
    return np.asarray(np.sign(matrix) * np.log1p(np.abs(matrix)), dtype=np.float32)
