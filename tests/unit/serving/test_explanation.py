"""What an explanation says of an item."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.feed.by_policy import MULTIPLIERS
from serving.feed.candidates import FOLLOWING, Candidates
from serving.feed.explanation import explain


class TwoFeatures:
    """A head of which each feature moves the log-odds by its value, a missing one by 9."""

    features = ("age", "likes")
    weights = {"engaged": 2.0}

    def contributions(self, matrix: Any) -> dict[str, Any]:
        expected = np.zeros((len(matrix), 1))
        return {"engaged": np.concatenate((np.nan_to_num(matrix, nan=9.0), expected), axis=1)}


def test_an_item_whose_features_were_not_kept_has_no_strongest_ones() -> None:
    ids = np.array([30, 20, 10])
    items = Candidates.of(
        ids,
        ids,
        ids,
        ids,
        np.zeros(3, dtype=np.bool_),
        FOLLOWING,
        features=np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, -5.0]], dtype=np.float32),
        probabilities=np.full((3, 1), 0.5),
        model_score=np.ones(3),
        multipliers=np.ones((3, len(MULTIPLIERS))),
    )
    first, second, third = explain(TwoFeatures(), items, ids)  # type: ignore[arg-type]
    assert [(one["name"], one["contribution"]) for one in first["features"]] == [
        ("likes", 18.0),
        ("age", 2.0),
    ]
    assert second["features"] == []
    assert second["heads"]["engaged"]["contribution"] == 1.0
    assert [(one["name"], one["value"]) for one in third["features"]] == [("likes", -5.0), ("age", 3.0)]
