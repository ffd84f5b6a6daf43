"""What a model was made on, kept with its run: what later features, scores and labels are compared with."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pandas as pd

from features.drift import Histogram
from features.labels import LABELS
from features.names import MODEL_INPUT
from training.dataset import Split

REFERENCE_FILE = "drift_reference.json"


class DriftReference(msgspec.Struct, frozen=True):
    """The training part's features and rates of the labels that it has, and the validation part's scores.

    ``until`` is when the examples ended, ISO 8601, UTC.
    """

    until: str
    rows: int
    features: Mapping[str, Histogram]
    scores: Histogram
    rates: Mapping[str, float]

    @classmethod
    def of(cls, split: Split, scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> DriftReference:
        """``scores`` are the model's on the split's last part."""
        matrix = split.train.matrix
        until: pd.Timestamp = split.test.frame["event_timestamp"].max()
        return cls(
            until=until.isoformat(),
            rows=len(matrix),
            features={name: Histogram.of(matrix[:, place]) for place, name in enumerate(MODEL_INPUT)},
            scores=Histogram.of(scores),
            rates={head: rate for head in LABELS if (rate := float(split.train.labels(head).mean())) > 0},
        )

    def text(self) -> str:
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()
