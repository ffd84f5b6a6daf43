"""Why an item has the score it has, and where a tweet was lost on its way into a feed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving.feed.by_policy import MULTIPLIERS
from serving.feed.candidates import SOURCES, Candidates
from serving.shapes import Explanation, FeatureExplanation, HeadExplanation
from timelines.entry import Ids
from training.bundle import Bundle

STRONGEST = 6


@dataclass
class Trace:
    """Notes at which filter a tweet was lost, and with which sources it came."""

    tweet: int
    stage: str | None = None
    sources: list[str] = field(default_factory=list)

    def removed(self, name: str, candidates: Candidates) -> None:
        """Told by the runner what a filter took out; a later filter's word counts."""
        here = candidates.original == self.tweet
        if here.any():
            self.stage = name
            self.came_by(candidates)

    def came_by(self, candidates: Candidates) -> None:
        here = candidates.original == self.tweet
        names = {SOURCES[source] for source in candidates.source[here].tolist()}
        self.sources = sorted({*self.sources, *names})


def explain(bundle: Bundle, items: Candidates, appearances: Ids) -> list[Explanation]:
    """Per item: what its score is made of, and the features that moved the heads most, where they were kept.

    ``appearances`` are those of the whole ranking: they tell where each item would stand newest first.
    """
    newest_first = np.sort(appearances)[::-1]
    places = np.searchsorted(-newest_first, -items.appearance)
    return [
        Explanation(
            chronological_position=place,
            heads=heads,
            model_score=None if math.isnan(model_score) else model_score,
            multipliers=dict(zip(MULTIPLIERS, multipliers, strict=True)),
            propensity=propensity,
            features=features,
        )
        for place, heads, model_score, multipliers, propensity, features in zip(
            places.tolist(),
            _heads(bundle, items),
            items.model_score.tolist(),
            items.multipliers.tolist(),
            items.propensity.tolist(),
            _features(bundle, items),
            strict=True,
        )
    ]


def _heads(bundle: Bundle, items: Candidates) -> list[dict[str, HeadExplanation]]:
    weights = bundle.weights
    if not items.probabilities.shape[1]:  # ordered by the light ranker
        return [{} for _ in range(len(items))]
    return [
        {
            head: {"probability": probability, "weight": weight, "contribution": weight * probability}
            for (head, weight), probability in zip(weights.items(), row, strict=True)
        }
        for row in items.probabilities.tolist()
    ]


def _features(bundle: Bundle, items: Candidates) -> list[list[FeatureExplanation]]:
    kept = np.flatnonzero(np.isfinite(items.features).any(axis=1))
    by_head = bundle.contributions(items.features[kept])
    total = np.sum([weight * by_head[head][:, :-1] for head, weight in bundle.weights.items()], axis=0)
    found: list[list[FeatureExplanation]] = [[] for _ in range(len(items))]
    for row, contributions in zip(kept.tolist(), total, strict=True):
        found[row] = _strongest(bundle.features, items.features[row], contributions)
    return found


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
