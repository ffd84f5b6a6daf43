"""What ``bundle.json`` says of a model bundle: read, and checked against what this build can serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.calibration import Calibrator
from training.formula import FORMULA_VERSION
from training.linear import Scaling, Slopes

BUNDLE_VERSION = 3
READ_VERSIONS = (2, 3)
LINEAR_SINCE = 3
"""Format 2 is what format 3 is without linear parts."""
MANIFEST_FILE = "bundle.json"

Array = NDArray[np.float64]


class BundleError(ValueError):
    """The folder is not a bundle that this build can serve; the message is one sentence."""


class LinearPart(msgspec.Struct, frozen=True):
    """What a logistic regression says of a head, and its ``share`` in the log-odds beside the trees'.

    Raises:
        ValueError: a share that is not within 0 and 1.
    """

    share: float
    slopes: Slopes

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("The share of a linear part is from 0 to 1.")

    def blend(self, trees: Array, linear: Array) -> Array:
        """The trees' and the linear part's log-odds, or effects on these, by their shares."""
        return (1 - self.share) * trees + self.share * linear


class HeadSpec(msgspec.Struct, frozen=True):
    """One head: its LightGBM text file, that file's sha256, its weight in the score and its calibrator.

    ``calibration_losses``: the log losses by which the kind of the calibrator was chosen, by kind.
    ``linear`` is None where the trees speak alone.
    """

    file: str
    sha256: str
    weight: float
    calibrator: Calibrator
    calibration_losses: dict[str, float] = {}
    linear: LinearPart | None = None


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
    of each head that the bundle does not have why. ``scaling`` is of all linear parts. ``learned_until`` is
    when the last list began that the model learned from, ``scoring`` what a page costs: None where these
    were not recorded.
    """

    bundle_version: int
    name: str
    feature_service: str
    features: list[str]
    defaults: dict[str, float | None]
    heads: dict[str, HeadSpec]
    left_out: dict[str, str]
    light: LightSpec | None
    scaling: Scaling | None = None
    formula_version: str
    data_fingerprint: str
    code_fingerprint: str
    metrics: dict[str, float | None]
    smoke: Smoke
    learned_until: str | None = None
    scoring: ScoringCost | None = None


class _Version(msgspec.Struct):
    bundle_version: int


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
        if version not in READ_VERSIONS:
            raise BundleError(
                f"The bundle in {path} is of version {version}; this build reads "
                f"{' and '.join(map(str, READ_VERSIONS))}: "
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


def check_features(manifest: Manifest, features: Sequence[str], feature_service: str) -> None:
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


def check_smoke(manifest: Manifest) -> None:
    """There must be smoke rows, each with all of the bundle's features and its score."""
    rows, scores, width = manifest.smoke.rows, manifest.smoke.scores, len(manifest.features)
    if not rows or len(rows) != len(scores) or any(len(row) != width for row in rows):
        raise BundleError(
            f"The model {manifest.name} has no smoke rows of {width} features, each with a score, "
            "to check it by."
        )


def check_linear(manifest: Manifest) -> None:
    """The linear parts must be of the bundle's features, and of a format that knows them."""
    subject, width = f"The model {manifest.name}", len(manifest.features)
    parts = {head: spec.linear for head, spec in manifest.heads.items() if spec.linear is not None}
    if manifest.bundle_version < LINEAR_SINCE and (parts or manifest.scaling is not None):
        raise BundleError(
            f"{subject} has linear parts, which bundles of version {manifest.bundle_version} do not have."
        )
    if parts and manifest.scaling is None:
        raise BundleError(f"{subject} has linear parts without the scaling of their features.")
    if manifest.scaling is not None and len(manifest.scaling.mean) != width:
        raise BundleError(
            f"{subject} has a scaling of {len(manifest.scaling.mean)} features, not of {width}."
        )
    for head, part in parts.items():
        if len(part.slopes.weights) != width:
            raise BundleError(
                f"{subject} has {len(part.slopes.weights)} linear weights for {head}, not one for each of "
                f"{width} features."
            )
