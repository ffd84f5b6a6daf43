"""The model bundle, format 1: what training hands to serving, as plain text files in one folder.

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
import msgspec
import numpy as np
from numpy.typing import NDArray

from features.names import FEATURE_SERVICE, MODEL_INPUT
from training.calibration import Calibrator
from training.formula import FORMULA_VERSION, combine

BUNDLE_VERSION = 2
MANIFEST_FILE = "bundle.json"
SMOKE_TOLERANCE = 1e-6

Matrix = NDArray[np.float32]


class BundleError(ValueError):
    """The folder is not a bundle that this build can serve; the message is one sentence."""


class HeadSpec(msgspec.Struct, frozen=True):
    """One head: its LightGBM text file, that file's sha256, its weight in the score and its calibrator.

    ``calibration_losses``: the log losses by which the kind of the calibrator was chosen, by kind.
    """

    file: str
    sha256: str
    weight: float
    calibrator: Calibrator
    calibration_losses: dict[str, float] = {}


class LightSpec(msgspec.Struct, frozen=True):
    """The light ranker that prunes before the heads: one small booster, distilled from their score."""

    file: str
    sha256: str


class Smoke(msgspec.Struct, frozen=True):
    """Rows of model input (None = missing) and the scores they had where the bundle was made."""

    rows: list[list[float | None]]
    scores: list[float]


class ScoringCost(msgspec.Struct, frozen=True):
    """Milliseconds of one core for a page of candidates, and of one plain head for 500 rows."""

    page_ms: float
    plain_ms: float

    @property
    def ratio(self) -> float:
        return self.page_ms / self.plain_ms


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``bundle.json``. ``features`` is the model input in order; ``defaults`` fill what is missing.

    A default of None leaves a value missing, for the trees to handle: missing is not zero. ``left_out`` says
    of each head that the bundle does not have why. ``learned_until`` is when the last list began that the
    model learned from, ``scoring`` what a page costs: None where these were not recorded.
    """

    bundle_version: int
    name: str
    feature_service: str
    features: list[str]
    defaults: dict[str, float | None]
    heads: dict[str, HeadSpec]
    left_out: dict[str, str]
    light: LightSpec | None
    formula_version: str
    data_fingerprint: str
    code_fingerprint: str
    metrics: dict[str, float | None]
    smoke: Smoke
    learned_until: str | None = None
    scoring: ScoringCost | None = None


class _Version(msgspec.Struct):
    bundle_version: int


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
        _check_features(manifest, features, feature_service)
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
        probabilities = {
            head: spec.calibrator.apply(_predict(self.boosters[head], matrix, spec.calibrator.of_log_odds))
            for head, spec in self.manifest.heads.items()
        }
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
        with self._contributing:
            return {
                head: np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)
                for head, booster in self.boosters.items()
            }

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
        rows = np.array(self.manifest.smoke.rows, dtype=np.float32).reshape(-1, len(self.features))
        matrix = np.vstack([rows, np.full((1, len(self.features)), np.nan, dtype=np.float32)])
        scores = self.score(matrix).score
        if not np.all(np.isfinite(scores)):
            raise BundleError(f"The model {self.manifest.name} gives scores that are not numbers.")
        if not np.allclose(scores[:-1], self.manifest.smoke.scores, rtol=0, atol=SMOKE_TOLERANCE):
            raise BundleError(
                f"The model {self.manifest.name} scores its smoke rows unlike where it was made."
            )


def read_manifest(path: Path) -> Manifest:
    """The manifest of the bundle in ``path``, its version and formula checked.

    Raises:
        BundleError: no manifest, not readable as one, or of another bundle or formula version.
    """
    try:
        content = (path / MANIFEST_FILE).read_bytes()
    except OSError:
        raise BundleError(f"There is no model bundle in {path}.") from None
    try:
        version = msgspec.json.decode(content, type=_Version).bundle_version
        if version != BUNDLE_VERSION:
            raise BundleError(
                f"The bundle in {path} is of version {version}; this build reads {BUNDLE_VERSION}: "
                "train again with `tideline train`."
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path / MANIFEST_FILE} is not a bundle's manifest: {error}.") from None
    if manifest.formula_version != FORMULA_VERSION:
        raise BundleError(
            f"The bundle in {path} uses score formula {manifest.formula_version}, "
            f"which this build does not have: it has {FORMULA_VERSION}."
        )
    if not manifest.heads:
        raise BundleError(f"The bundle in {path} has no heads.")
    return manifest


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_features(manifest: Manifest, features: Sequence[str], feature_service: str) -> None:
    subject = f"The model {manifest.name}"
    if manifest.feature_service != feature_service:
        raise BundleError(
            f"{subject} is for feature service {manifest.feature_service}, not {feature_service}."
        )
    if foreign := sorted(set(manifest.features) - set(features)):
        raise BundleError(f"{subject} wants features that this build does not have: {', '.join(foreign)}.")
    if missing := sorted(set(features) - set(manifest.features)):
        raise BundleError(f"{subject} lacks features of this build's model input: {', '.join(missing)}.")
    if manifest.features != list(features):
        raise BundleError(f"{subject} has the features of this build's model input in another order.")


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
