"""The heads: one LightGBM model per engagement, seeded and deterministic."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.names import CONTEXT_FEATURES, MODEL_INPUT, VIEWS


@dataclass(frozen=True)
class HeadParameters:
    """Size and rate of learning; ``view_dropout`` is the share of rows that lose a view while training."""

    trees: int = 200
    leaves: int = 31
    learning_rate: float = 0.06
    smallest_leaf: int = 50
    l2: float = 5.0
    feature_share: float = 0.8
    row_share: float = 0.8
    patience: int = 30
    view_dropout: float = 0.02


def view_groups() -> list[list[int]]:
    """The columns of the model input that come and go together: one list per view, one for the context."""
    place = {name: index for index, name in enumerate(MODEL_INPUT)}
    groups = [[place[column] for column in view.columns] for view in VIEWS]
    return [*groups, [place[feature.name] for feature in CONTEXT_FEATURES]]


def drop_views(matrix: NDArray[np.float32], share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A copy of [n, len(MODEL_INPUT)] in which each view is missing from about ``share`` of the rows.

    LightGBM reads NaN as zero in any column that was never missing in training. Dropping views teaches
    every column's missing branch, so that a row lost at serving time is not mistaken for a row of zeros.
    """
    dropped = matrix.copy()
    for columns in view_groups():
        rows = np.flatnonzero(rng.random(len(matrix)) < share)
        dropped[rows[:, None], columns] = np.nan
    return dropped


def train_head(
    matrix: NDArray[np.float32],
    labels: NDArray[np.float64],
    validation: tuple[NDArray[np.float32], NDArray[np.float64]],
    parameters: HeadParameters,
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """A booster for P(label), stopped early by log loss on ``validation`` (matrix, labels).

    The same data, seed and parameters give the same trees, whatever ``threads`` is.
    """
    inputs = drop_views(matrix, parameters.view_dropout, np.random.default_rng(seed))
    settings = {
        "objective": "binary",
        "num_leaves": parameters.leaves,
        "learning_rate": parameters.learning_rate,
        "min_data_in_leaf": min(parameters.smallest_leaf, max(1, len(labels) // 20)),
        "lambda_l2": parameters.l2,
        "feature_fraction": parameters.feature_share,
        "bagging_fraction": parameters.row_share,
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "use_missing": True,
        "zero_as_missing": False,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(inputs, labels, feature_name=list(MODEL_INPUT), free_raw_data=True)
    held_out = lightgbm.Dataset(validation[0], validation[1], reference=data)
    stop = lightgbm.early_stopping(parameters.patience, verbose=False)
    return lightgbm.train(
        settings, data, num_boost_round=parameters.trees, valid_sets=[held_out], callbacks=[stop]
    )


def model_text(booster: lightgbm.Booster) -> str:
    """The booster as LightGBM text, cut at its best iteration."""
    return str(booster.model_to_string(num_iteration=booster.best_iteration))
