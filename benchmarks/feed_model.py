"""A model bundle of a given size, trained on random rows: for timing the feed, not for its order."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np

from features.names import MODEL_INPUT
from training.bundle import Bundle
from training.calibration import Calibrator
from training.export import TrainedHead, assemble, write
from training.formula import DEFAULT_WEIGHTS

ROWS = 4000


def write_model(path: Path, trees: int = 200, leaves: int = 31, random_seed: int = 7) -> Bundle:
    """Writes a bundle with the usual heads into the new folder ``path``."""
    rng = np.random.default_rng(random_seed)
    matrix = rng.gamma(1.0, 2.0, (ROWS, len(MODEL_INPUT))).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    heads: dict[str, TrainedHead] = {}
    for number, (head, weight) in enumerate(DEFAULT_WEIGHTS.items()):
        signal = np.nan_to_num(matrix[:, number + 6]) + np.nan_to_num(matrix[:, number + 1])
        labels = (signal + rng.normal(0, 3, ROWS) > np.median(signal)).astype(np.float64)
        booster = lightgbm.train(
            {
                "objective": "binary",
                "num_leaves": leaves,
                "min_data_in_leaf": 5,
                "verbosity": -1,
                "seed": random_seed,
                "num_threads": 1,
            },
            lightgbm.Dataset(matrix, labels, feature_name=list(MODEL_INPUT)),
            num_boost_round=trees,
        )
        heads[head] = TrainedHead(booster, Calibrator((0.0, 1.0), (0.001, 0.6)), weight)
    bundle, texts = assemble("feed-benchmark", heads, None, "random", matrix[:5])
    return write(path, bundle, texts, {})
