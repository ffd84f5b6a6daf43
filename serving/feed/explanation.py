"""Why an item has the score it has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serving.feed.candidates import Candidates
from serving.shapes import Explanation, FeatureExplanation
from training.bundle import Bundle

STRONGEST = 6


def explain(bundle: Bundle, items: Candidates, appearances: NDArray[np.int64]) -> list[Explanation]:
    """Per item: probability, weight and contribution of each head, and the strongest features.

    ``appearances`` are those of the whole ranking: they tell where each item would stand newest first.
    """
    matrix = items.features
    weights = bundle.weights
    by_head = bundle.contributions(matrix)
    total = np.sum([weights[head] * by_head[head][:, :-1] for head in weights], axis=0)
    newest_first = np.sort(appearances)[::-1]
    places = np.searchsorted(-newest_first, -items.appearance)
    return [
        Explanation(
            chronological_position=place,
            heads={
                head: {
                    "probability": probability,
                    "weight": weights[head],
                    "contribution": weights[head] * probability,
                }
                for head, probability in zip(weights, probabilities, strict=True)
            },
            multipliers={},
            features=_strongest(bundle.features, matrix[row], total[row]),
        )
        for row, (place, probabilities) in enumerate(
            zip(places.tolist(), items.probabilities.tolist(), strict=True)
        )
    ]


def _strongest(
    names: Sequence[str], values: NDArray[np.float32], contributions: NDArray[np.float64]
) -> list[FeatureExplanation]:
    order = np.argsort(-np.abs(contributions), kind="stable")[:STRONGEST]
    return [
        {
            "name": names[column],
            "value": None if math.isnan(values[column]) else float(values[column]),
            "contribution": float(contributions[column]),
        }
        for column in order.tolist()
    ]
