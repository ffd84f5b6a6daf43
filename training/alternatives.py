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
from training.linear import fit_linear

Matrix = NDArray[np.float32]
Array = NDArray[np.float64]


class Logistic:
    """Logistic regression of whether an item is engaged with."""

    name = "logistic_regression"

    def __init__(self, train: Examples) -> None:
        self._model = fit_linear(train.matrix, train.labels(ENGAGED))

    def score(self, frame: pd.DataFrame) -> Array:
        return self._model.log_odds(_model_input(frame))


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
