"""Writes a bundle folder from trained heads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import lightgbm
import msgspec
import numpy as np

from features import labels, names
from features.names import FEATURE_SERVICE, MODEL_INPUT
from training.bundle import Bundle, Matrix, sha256
from training.calibration import Calibrator
from training.formula import FORMULA_VERSION
from training.heads import model_text
from training.linear import Scaling
from training.manifest import (
    BUNDLE_VERSION,
    MANIFEST_FILE,
    HeadSpec,
    LightSpec,
    LinearPart,
    Manifest,
    ScoringCost,
    Smoke,
)

LIGHT_FILE = "light.txt"


@dataclass(frozen=True)
class TrainedHead:
    """A head ready to be written."""

    booster: lightgbm.Booster
    calibrator: Calibrator
    weight: float
    calibration_losses: Mapping[str, float] = field(default_factory=dict)
    linear: LinearPart | None = None


def assemble(
    name: str,
    heads: Mapping[str, TrainedHead],
    light: lightgbm.Booster | None,
    data_fingerprint: str,
    smoke_rows: Matrix,
    left_out: Mapping[str, str] = MappingProxyType({}),
    scaling: Scaling | None = None,
) -> tuple[Bundle, dict[str, str]]:
    """A bundle in memory, as it will be after loading, and its model files' texts by file name.

    ``smoke_rows`` [n, len(MODEL_INPUT)] are scored now and must score the same wherever the bundle is loaded.
    ``left_out`` says of each head that is not there why. The heads' linear parts take rows of ``scaling``.
    """
    texts = {f"head_{head}.txt": model_text(trained.booster) for head, trained in heads.items()}
    if light is not None:
        texts[LIGHT_FILE] = model_text(light)
    digests = {file: sha256(text.encode()) for file, text in texts.items()}
    manifest = Manifest(
        bundle_version=BUNDLE_VERSION,
        name=name,
        feature_service=FEATURE_SERVICE,
        features=list(MODEL_INPUT),
        defaults=dict.fromkeys(MODEL_INPUT),
        heads={
            head: HeadSpec(
                f"head_{head}.txt",
                digests[f"head_{head}.txt"],
                trained.weight,
                trained.calibrator,
                dict(trained.calibration_losses),
                trained.linear,
            )
            for head, trained in heads.items()
        },
        left_out=dict(left_out),
        light=LightSpec(LIGHT_FILE, digests[LIGHT_FILE]) if light is not None else None,
        scaling=scaling if any(trained.linear for trained in heads.values()) else None,
        formula_version=FORMULA_VERSION,
        data_fingerprint=data_fingerprint,
        code_fingerprint=code_fingerprint(),
        metrics={},
        smoke=Smoke(rows=[], scores=[]),
    )
    # From text, not from the trained objects: what is judged is what will be served.
    boosters = {head: _booster(texts[f"head_{head}.txt"]) for head in heads}
    bundle = Bundle(manifest, boosters, _booster(texts[LIGHT_FILE]) if light is not None else None)
    smoke = Smoke(
        rows=[[None if np.isnan(value) else float(value) for value in row] for row in smoke_rows],
        scores=bundle.score(smoke_rows).score.tolist(),
    )
    manifest = msgspec.structs.replace(manifest, smoke=smoke)
    return Bundle(manifest, boosters, bundle.light), texts


def write(
    path: Path,
    bundle: Bundle,
    texts: Mapping[str, str],
    metrics: Mapping[str, float],
    learned_until: str | None = None,
    scoring: ScoringCost | None = None,
) -> Bundle:
    """Writes the bundle with what was found of it into the new folder ``path`` and loads it back from there.

    Raises:
        FileExistsError: ``path`` is there already.
        BundleError: what was written does not load.
    """
    path.mkdir(parents=True)
    known = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    for file, text in texts.items():
        (path / file).write_bytes(text.encode())
    manifest = msgspec.structs.replace(
        bundle.manifest, metrics=known, learned_until=learned_until, scoring=scoring
    )
    (path / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return Bundle.load(path)


def code_fingerprint() -> str:
    """sha256 of what shapes a model: the sources of this package, the features' and the labels' names."""
    folder = Path(__file__).parent
    sources = [*sorted(folder.glob("*.py")), Path(names.__file__), Path(labels.__file__)]
    return sha256(b"\0".join(source.name.encode() + b"\0" + source.read_bytes() for source in sources))


def _booster(text: str) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=text)
