"""The heads: one LightGBM model per engagement, seeded and deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.labels import ENGAGED, HEADS
from features.names import CONTEXT_FEATURES, MODEL_INPUT, VIEWS
from training.dataset import NoExamplesError, Split

Matrix = NDArray[np.float32]
Array = NDArray[np.float64]
Sizes = NDArray[np.int64]

LEAST_OF_EACH_KIND: Mapping[str, int] = {"train": 100, "calibration": 25, "test": 25}
"""So many examples that have a head's label, and so many that have not, are asked for in each part."""
SMALLEST_SCORE = 1e-6


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


def drop_views(matrix: Matrix, share: float, rng: np.random.Generator) -> Matrix:
    """A copy of [n, len(MODEL_INPUT)] in which each view is missing from about ``share`` of the rows.

    LightGBM reads NaN as zero in any column that was never missing in training. Dropping views teaches
    every column's missing branch, so that a row lost at serving time is not mistaken for a row of zeros.
    """
    dropped = matrix.copy()
    for columns in view_groups():
        rows = np.flatnonzero(rng.random(len(matrix)) < share)
        dropped[rows[:, None], columns] = np.nan
    return dropped


def usable_heads(split: Split) -> tuple[tuple[str, ...], dict[str, str]]:
    """The heads that the examples can teach and judge, and of every other head why it is left out.

    Raises:
        NoExamplesError: there is no usable head.
    """
    left_out = {}
    for head in HEADS:
        for name, least in LEAST_OF_EACH_KIND.items():
            labels = split.parts[name].labels(head)
            positives = int(labels.sum())
            if min(positives, len(labels) - positives) < least:
                left_out[head] = (
                    f"{positives:,} of {len(labels):,} examples of the {name} part were {head}, "
                    f"and {least} are needed that were and that were not"
                )
                break
    if len(left_out) == len(HEADS):
        reasons = "; ".join(left_out.values())
        raise NoExamplesError(f"There are too few labelled examples for any head: {reasons}.")
    return tuple(head for head in HEADS if head not in left_out), left_out


def train_head(
    matrix: Matrix,
    labels: Array,
    validation: tuple[Matrix, Array],
    parameters: HeadParameters,
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """A booster for P(label), stopped early by log loss on ``validation`` (matrix, labels).

    The same data, seed and parameters give the same trees, whatever ``threads`` is.
    """
    return _train("binary", matrix, labels, validation, parameters, seed, threads)


def distil(
    matrix: Matrix,
    scores: Array,
    validation: tuple[Matrix, Array],
    parameters: HeadParameters,
    seed: int,
    threads: int,
) -> lightgbm.Booster:
    """A small booster that follows another model's positive ``scores``, stopped early on ``validation``.

    It learns their logarithm: what stands high is told apart as finely as what stands low, and its own scores
    may be negative.
    """
    targets = np.log(np.maximum(scores, SMALLEST_SCORE))
    held_out = (validation[0], np.log(np.maximum(validation[1], SMALLEST_SCORE)))
    return _train("regression", matrix, targets, held_out, parameters, seed, threads)


def train_order(split: Split, parameters: HeadParameters, seed: int, threads: int) -> lightgbm.Booster:
    """A booster whose scores put the engaged items of a list first (LambdaRank on nDCG@10).

    Its scores mean nothing across lists.
    """
    groups = (np.bincount(split.train.requests), np.bincount(split.calibration.requests))
    held_out = (split.calibration.matrix, split.calibration.labels(ENGAGED))
    labels = split.train.labels(ENGAGED)
    return _train("lambdarank", split.train.matrix, labels, held_out, parameters, seed, threads, groups)


def _train(
    objective: str,
    matrix: Matrix,
    targets: Array,
    validation: tuple[Matrix, Array],
    parameters: HeadParameters,
    seed: int,
    threads: int,
    groups: tuple[Sizes, Sizes] | tuple[None, None] = (None, None),
) -> lightgbm.Booster:
    """``groups`` are the sizes of the lists that the rows to train on and those to stop by are of."""
    inputs = drop_views(matrix, parameters.view_dropout, np.random.default_rng(seed))
    settings = {
        "objective": objective,
        "num_leaves": parameters.leaves,
        "learning_rate": parameters.learning_rate,
        "min_data_in_leaf": min(parameters.smallest_leaf, max(1, len(targets) // 20)),
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
        "eval_at": [10],
    }
    data = lightgbm.Dataset(
        inputs, targets, group=groups[0], feature_name=list(MODEL_INPUT), free_raw_data=True
    )
    held_out = lightgbm.Dataset(validation[0], validation[1], group=groups[1], reference=data)
    stop = lightgbm.early_stopping(parameters.patience, verbose=False)
    return lightgbm.train(
        settings, data, num_boost_round=parameters.trees, valid_sets=[held_out], callbacks=[stop]
    )


def model_text(booster: lightgbm.Booster) -> str:
    """The booster as LightGBM text, cut at its best iteration."""
    return str(booster.model_to_string(num_iteration=booster.best_iteration))
