"""A model bundle of a given size, trained on random rows: for timing the feed, not for its order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import lightgbm
import numpy as np

from features.names import MODEL_INPUT
from training.bundle import Bundle, Matrix
from training.calibration import Isotonic
from training.export import TrainedHead, assemble, write
from training.formula import DEFAULT_WEIGHTS
from training.linear import Scaling, Slopes
from training.manifest import LinearPart

ROWS = 4000


def model_input(rng: np.random.Generator) -> Matrix:
    """Random rows, one value in twenty missing."""
    matrix = rng.gamma(1.0, 2.0, (ROWS, len(MODEL_INPUT))).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    return matrix


def write_model(
    path: Path,
    trees: int = 200,
    leaves: int = 31,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    light_trees: int = 0,
    light_leaves: int | None = None,
    random_seed: int = 7,
) -> Bundle:
    """Writes a bundle with a head per weight, and a light ranker where it is to have trees, into ``path``."""
    rng = np.random.default_rng(random_seed)
    matrix = model_input(rng)

    def booster(number: int, rounds: int, leaves: int = leaves) -> lightgbm.Booster:
        signal = np.nan_to_num(matrix[:, number + 6]) + np.nan_to_num(matrix[:, number + 1])
        labels = (signal + rng.normal(0, 3, ROWS) > np.median(signal)).astype(np.float64)
        return lightgbm.train(
            {
                "objective": "binary",
                "num_leaves": leaves,
                "min_data_in_leaf": 5,
                "verbosity": -1,
                "seed": random_seed,
                "num_threads": 1,
            },
            lightgbm.Dataset(matrix, labels, feature_name=list(MODEL_INPUT)),
            num_boost_round=rounds,
        )

    def linear(number: int) -> LinearPart:
        slopes = np.random.default_rng(number).normal(0, 0.01, len(MODEL_INPUT))
        return LinearPart(0.5, Slopes(tuple(slopes.tolist()), 0.0))

    heads = {
        head: TrainedHead(
            booster(number, trees), Isotonic((0.0, 1.0), (0.001, 0.6)), weight, linear=linear(number)
        )
        for number, (head, weight) in enumerate(weights.items())
    }
    light = booster(0, light_trees, light_leaves or leaves) if light_trees else None
    bundle, texts = assemble("feed-benchmark", heads, light, "random", matrix[:5], scaling=Scaling.of(matrix))
    return write(path, bundle, texts, {})
