"""What else could have been learned from the same examples, judged beside the heads: orders of lists.

They are rankers as the baselines are, but have to be fitted. None is a floor of the gate: they are there to
show what the heads are worth.
"""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.labels import ENGAGED
from training.baselines import Ranker
from training.dataset import Examples, Split
from training.heads import HeadParameters, train_order

Matrix = NDArray[np.float32]
Array = NDArray[np.float64]

LARGEST_LOGARITHM = 50.0
PENALTY = 100.0


class Logistic:
    """Logistic regression of whether an item is engaged with: signed logarithms of the features, each scaled,
    a missing one at its mean.
    """

    name = "logistic_regression"

    def __init__(self, train: Examples) -> None:
        # Not at the top: nothing but a training run fits one, and scikit-learn takes seconds to load.
        from sklearn.linear_model import LogisticRegression

        values = _logarithms(train.matrix)
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        self._mean = np.where(known, values, 0.0).sum(axis=0) / count
        spread = np.where(known, values - self._mean, 0.0)
        # A constant feature has no scale; it stays at zero.
        self._scale = np.maximum(np.sqrt((spread**2).sum(axis=0) / count), 1e-6)
        model = LogisticRegression(C=1 / PENALTY, max_iter=100, tol=1e-3)
        self._model = model.fit(self._scaled(train.matrix), train.labels(ENGAGED))

    def score(self, frame: pd.DataFrame) -> Array:
        odds = self._model.decision_function(self._scaled(_model_input(frame)))
        return np.asarray(odds, dtype=np.float64)

    def _scaled(self, matrix: Matrix) -> Matrix:
        scaled = (_logarithms(matrix) - self._mean) / self._scale
        return np.asarray(np.nan_to_num(scaled), dtype=np.float32)


class LambdaRank:
    """One booster that learns the order of each list by its nDCG, not the chance of anything."""

    name = "lambdarank"

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster

    def score(self, frame: pd.DataFrame) -> Array:
        return np.asarray(self._booster.predict(_model_input(frame), num_threads=1), dtype=np.float64)


def fit_alternatives(split: Split, parameters: HeadParameters, seed: int, threads: int) -> tuple[Ranker, ...]:
    """Each fitted on the part to train on, LambdaRank stopped early on the part to calibrate on."""
    return Logistic(split.train), LambdaRank(train_order(split, parameters, seed, threads))


def _model_input(frame: pd.DataFrame) -> Matrix:
    return Examples(frame).matrix


def _logarithms(matrix: Matrix) -> Array:
    values = np.asarray(matrix, dtype=np.float64)
    logarithms = np.sign(values) * np.log1p(np.abs(values))
    return np.asarray(np.clip(logarithms, -LARGEST_LOGARITHM, LARGEST_LOGARITHM))
