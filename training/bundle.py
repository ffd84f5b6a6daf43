"""The model bundle, format 3: what training hands to serving, as plain text files in one folder.

``bundle.json`` (:class:`Manifest`) and one LightGBM text file per head. Nothing is pickled, and loading runs
no code from the bundle. What does not fit this build is refused with one sentence (:class:`BundleError`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.names import FEATURE_SERVICE, MODEL_INPUT
from training.formula import combine
from training.manifest import (
    BundleError,
    HeadSpec,
    LightSpec,
    Manifest,
    check_features,
    check_linear,
    check_smoke,
    read_manifest,
)

SMOKE_TOLERANCE = 1e-6

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """``probabilities`` per head and ``score``, each float64 [n], in the order of the matrix's rows."""

    probabilities: Mapping[str, NDArray[np.float64]]
    score: NDArray[np.float64]


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; one per worker process. ``score`` may be called from several threads."""

    manifest: Manifest
    boosters: Mapping[str, lightgbm.Booster] = field(repr=False)
    light: lightgbm.Booster | None = field(default=None, repr=False)
    # LightGBM's pred_contrib is not safe to call from two threads at once; predict is.
    _contributing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.manifest.features)

    @property
    def weights(self) -> dict[str, float]:
        return {head: spec.weight for head, spec in self.manifest.heads.items()}

    @classmethod
    def load(
        cls,
        path: Path,
        features: Sequence[str] = MODEL_INPUT,
        feature_service: str = FEATURE_SERVICE,
    ) -> Bundle:
        """The bundle in the folder ``path``, checked against this build's model input and by its smoke rows.

        Raises:
            BundleError: not a bundle, another bundle or formula version, another feature service, a foreign,
                missing or reordered feature, a changed file, or smoke scores that are NaN or differ.
        """
        manifest = read_manifest(path)
        check_features(manifest, features, feature_service)
        check_linear(manifest)
        check_smoke(manifest)
        boosters = {head: _read_booster(path, manifest, spec) for head, spec in manifest.heads.items()}
        light = _read_booster(path, manifest, manifest.light) if manifest.light else None
        bundle = cls(manifest, boosters, light)
        bundle._check_smoke()
        return bundle

    def score(self, matrix: Matrix) -> Scores:
        """Scores of candidates, one row of float32 [n, len(features)] each; NaN in the matrix is missing.

        Raises:
            ValueError: the matrix has another number of columns.
        """
        matrix = self._filled(matrix)
        scaled = self._scaled(matrix)
        probabilities = {}
        for head, spec in self.manifest.heads.items():
            odds = _predict(self.boosters[head], matrix, log_odds=True)
            if spec.linear is not None:
                odds = spec.linear.blend(odds, spec.linear.slopes.log_odds(scaled))
            probabilities[head] = spec.calibrator.apply(odds if spec.calibrator.of_log_odds else expit(odds))
        return Scores(probabilities, combine(probabilities, self.weights))

    def light_score(self, matrix: Matrix) -> NDArray[np.float64]:
        """The light ranker's scores of float32 [n, len(features)], to prune by: their size means nothing.

        Raises:
            ValueError: the bundle has no light ranker, or the matrix another number of columns.
        """
        if self.light is None:
            raise ValueError("This bundle has no light ranker.")
        return _predict(self.light, self._filled(matrix))

    def contributions(self, matrix: Matrix) -> dict[str, NDArray[np.float64]]:
        """Per head float64 [n, len(features) + 1]: what each feature adds to the raw log-odds.

        The last column is the head's expected value; a row sums to the raw (not yet calibrated) log-odds.

        Raises:
            ValueError: the matrix has another number of columns.
        """
        matrix = self._filled(matrix)
        if len(matrix) == 0:
            return {head: np.empty((0, len(self.features) + 1)) for head in self.boosters}
        scaled, found = self._scaled(matrix), {}
        for head, booster in self.boosters.items():
            with self._contributing:
                trees = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1), np.float64)
            linear = self.manifest.heads[head].linear
            found[head] = trees if linear is None else linear.blend(trees, linear.slopes.effects(scaled))
        return found

    def _scaled(self, matrix: Matrix) -> Matrix:
        """What the linear parts take; the matrix itself where there are none."""
        scaling = self.manifest.scaling
        return matrix if scaling is None else scaling.apply(matrix)

    def _filled(self, matrix: Matrix) -> Matrix:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.manifest.features):
            raise ValueError(
                f"The model takes {len(self.manifest.features)} features a row, not a {matrix.shape} matrix."
            )
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
        for column, name in enumerate(self.manifest.features):
            default = self.manifest.defaults.get(name)
            if default is not None:
                matrix = matrix.copy()
                matrix[np.isnan(matrix[:, column]), column] = default
        return matrix

    def _check_smoke(self) -> None:
        rows = np.array(self.manifest.smoke.rows, dtype=np.float32)
        matrix = np.vstack([rows, np.full((1, len(self.features)), np.nan, dtype=np.float32)])
        scores = self.score(matrix).score
        if not np.all(np.isfinite(scores)):
            raise BundleError(f"The model {self.manifest.name} gives scores that are not numbers.")
        if not np.allclose(scores[:-1], self.manifest.smoke.scores, rtol=0, atol=SMOKE_TOLERANCE):
            raise BundleError(
                f"The model {self.manifest.name} scores its smoke rows unlike where it was made."
            )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_booster(path: Path, manifest: Manifest, spec: HeadSpec | LightSpec) -> lightgbm.Booster:
    if Path(spec.file).name != spec.file:
        raise BundleError(f"The bundle in {path} names a file outside its folder: {spec.file}.")
    try:
        content = (path / spec.file).read_bytes()
    except OSError:
        raise BundleError(f"The bundle in {path} lacks its file {spec.file}.") from None
    if sha256(content) != spec.sha256:
        raise BundleError(f"{path / spec.file} is not the file that the bundle was made with.")
    try:
        booster = lightgbm.Booster(model_str=content.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError):
        raise BundleError(f"{path / spec.file} is not a LightGBM model.") from None
    if booster.feature_name() != manifest.features:
        raise BundleError(f"{path / spec.file} was trained on another feature list than its bundle names.")
    return booster


def _predict(booster: lightgbm.Booster, matrix: Matrix, log_odds: bool = False) -> NDArray[np.float64]:
    if len(matrix) == 0:
        return np.empty(0)
    # One thread: LightGBM's default threading multiplies the tail latency on a busy machine.
    return np.asarray(booster.predict(matrix, raw_score=log_odds, num_threads=1), dtype=np.float64)
