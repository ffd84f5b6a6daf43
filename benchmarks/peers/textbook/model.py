"""The heads of a bundle as plain LightGBM boosters, each with its linear part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.formula import combine
from training.manifest import read_manifest

Matrix = NDArray[np.float32]


class Model:
    """``threads``: how many LightGBM may take; None leaves it its default, all that it sees.

    Raises:
        BundleError: there is no bundle in ``folder``.
    """

    def __init__(self, folder: Path, threads: int | None) -> None:
        self.manifest = read_manifest(folder)
        self._options: dict[str, Any] = {} if threads is None else {"num_threads": threads}
        self._heads = {
            name: lightgbm.Booster(model_file=folder / head.file)
            for name, head in self.manifest.heads.items()
        }
        light = self.manifest.light
        self._light = None if light is None else lightgbm.Booster(model_file=folder / light.file)

    def light(self, matrix: Matrix) -> NDArray[np.float64]:
        """The light ranker's scores; without one all are alike."""
        if self._light is None:
            return np.zeros(len(matrix))
        return np.asarray(self._light.predict(matrix, **self._options))

    def scores(self, matrix: Matrix) -> NDArray[np.float64]:
        """The weighted sum of the calibrated heads."""
        heads, scaling = self.manifest.heads, self.manifest.scaling
        scaled = matrix if scaling is None else scaling.apply(matrix)
        probabilities = {}
        for name, booster in self._heads.items():
            odds, head = booster.predict(matrix, raw_score=True, **self._options), heads[name]
            if head.linear is not None:
                odds = head.linear.blend(odds, head.linear.slopes.log_odds(scaled))
            probabilities[name] = head.calibrator.apply(odds if head.calibrator.of_log_odds else expit(odds))
        return combine(probabilities, {name: head.weight for name, head in heads.items()})
