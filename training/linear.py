"""Logistic regression on signed logarithms of the features: a baseline, and a part of both models.

It bends less than trees do where what comes later differs from what was learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Array = NDArray[np.float64]

MOST_DEVIATIONS = 10.0
"""A feature further from its mean counts as this far: what hardly ever was before may be common later."""
LEAST_DEVIATION = 1e-6
PENALTY = 100.0


class Scaling(msgspec.Struct, frozen=True):
    """What makes features comparable: of their signed logarithms the ``mean``, and in ``per_deviation`` one
    over the standard deviation, 0 for a feature that never varied.

    Raises:
        ValueError: the two are of different lengths.
    """

    mean: tuple[float, ...]
    per_deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.per_deviation):
            raise ValueError("A scaling needs a mean and a deviation for each feature.")

    @classmethod
    def of(cls, matrix: Matrix) -> Scaling:
        """Of the known values in rows [n, features]."""
        values = _logarithms(matrix).astype(np.float64)
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / count
        spread = np.where(known, values - mean, 0.0)
        deviation = np.sqrt((spread**2).sum(axis=0) / count)
        varied = deviation >= LEAST_DEVIATION
        return cls(
            tuple(mean.tolist()), tuple(np.where(varied, 1 / np.where(varied, deviation, 1), 0).tolist())
        )

    def apply(self, matrix: Matrix) -> Matrix:
        """Deviations from the mean of rows float32 [n, features], as float32; a missing feature has none."""
        scaled = np.nan_to_num((_logarithms(matrix) - np.array(self.mean)) * np.array(self.per_deviation))
        return np.asarray(np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS), dtype=np.float32)


class Slopes(msgspec.Struct, frozen=True):
    """Log-odds as a weighed sum of scaled features."""

    weights: tuple[float, ...]
    intercept: float

    def effects(self, scaled: Matrix) -> Array:
        """What each feature adds to the log-odds of scaled rows, and last the intercept: float64
        [n, features + 1].

        As the features' means are zero, these are the SHAP values of a linear model, w (x - mean)
        (Lundberg and Lee 2017, corollary 1), and the intercept is its expected value.
        """
        intercept = np.full((len(scaled), 1), self.intercept)
        return np.hstack([scaled * np.array(self.weights), intercept])

    def log_odds(self, scaled: Matrix) -> Array:
        """Of scaled rows, float64 [n]; a row's do not depend on the others, as they might in a product of
        matrices.
        """
        return np.asarray(self.effects(scaled).sum(axis=1))


@dataclass(frozen=True)
class LinearModel:
    """Slopes with the scaling that they were learned with."""

    scaling: Scaling
    slopes: Slopes

    def log_odds(self, matrix: Matrix) -> Array:
        """Of rows float32 [n, features], float64 [n]; a missing feature counts as its mean."""
        return self.slopes.log_odds(self.scaling.apply(matrix))


def fit_linear(matrix: Matrix, labels: Array) -> LinearModel:
    """Learned from rows [n, features] and labels of both kinds [n]."""
    scaling = Scaling.of(matrix)
    return LinearModel(scaling, fit_slopes(scaling.apply(matrix), labels))


def fit_slopes(scaled: Matrix, labels: Array) -> Slopes:
    """Learned with a ridge penalty from scaled rows [n, features] and labels of both kinds [n]."""
    # Not at the top: nothing but a training run fits one, and scikit-learn takes seconds to load.
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / PENALTY, max_iter=100, tol=1e-3).fit(scaled, labels)
    weights = np.asarray(model.coef_[0], dtype=np.float64)
    return Slopes(tuple(weights.tolist()), float(model.intercept_[0]))


def _logarithms(matrix: Matrix) -> Matrix:
    return np.asarray(np.sign(matrix) * np.log1p(np.abs(matrix)), dtype=np.float32)
