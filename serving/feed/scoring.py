"""Scores of candidates from the model's heads, and why an item has the score it has."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.feed.query import Candidate, FeedQuery
from serving.pipeline.selection import order_by_score
from serving.pipeline.stages import Selection
from serving.shapes import Explanation, FeatureExplanation
from training.bundle import Bundle

STRONGEST = 6


class Score(NamedTuple):
    """The score and the calibrated probability of each head."""

    score: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Heads:
    """The bundle's heads over all candidates in one call.

    The call runs in a thread: LightGBM lets the interpreter go, so that other requests proceed meanwhile.
    """

    bundle: Bundle
    name: str = "heads"

    async def score(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[Score]:
        matrix = feature_matrix(candidates, len(self.bundle.features))
        scores = await asyncio.to_thread(self.bundle.score, matrix)
        heads = list(scores.probabilities)
        columns = zip(*(scores.probabilities[head].tolist() for head in heads), strict=True)
        return [
            Score(score, dict(zip(heads, row, strict=True)))
            for score, row in zip(scores.score.tolist(), columns, strict=True)
        ]

    def apply(self, candidate: Candidate, value: Score) -> Candidate:
        return msgspec.structs.replace(candidate, score=value.score, probabilities=value.probabilities)


@dataclass(frozen=True)
class BestFirst:
    """By score; unscored last, ties newest first."""

    name: str = "best_first"

    def select(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Selection[Candidate]:
        ordered = order_by_score(candidates, lambda c: c.score, lambda c: c.appearance_id)
        return Selection(ordered[: query.limit], ordered[query.limit :])


@dataclass(frozen=True)
class NewestFirst:
    """By appearance, newest first."""

    name: str = "newest_first"

    def select(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Selection[Candidate]:
        ordered = sorted(candidates, key=lambda c: -c.appearance_id)
        return Selection(ordered[: query.limit], ordered[query.limit :])


@dataclass(frozen=True)
class AsRanked:
    """In the order of the kept ranking."""

    name: str = "as_ranked"

    def select(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Selection[Candidate]:
        return Selection(candidates[: query.limit], candidates[query.limit :])


def feature_matrix(candidates: Sequence[Candidate], width: int) -> NDArray[np.float32]:
    """Model input [n, width]; a candidate without features has a row of missing values."""
    missing = np.full(width, np.nan, dtype=np.float32)
    if not candidates:
        return np.empty((0, width), dtype=np.float32)
    return np.stack([missing if c.features is None else c.features for c in candidates])


def explain(
    bundle: Bundle, items: Sequence[Candidate], places_by_time: Mapping[int, int]
) -> list[Explanation]:
    """Per item: probability, weight and contribution of each head, and the strongest features."""
    matrix = feature_matrix(items, len(bundle.features))
    weights = bundle.weights
    by_head = bundle.contributions(matrix)
    total = np.sum([weights[head] * by_head[head][:, :-1] for head in weights], axis=0)
    return [
        Explanation(
            chronological_position=places_by_time[item.appearance_id],
            heads={
                head: {
                    "probability": probability,
                    "weight": weights[head],
                    "contribution": weights[head] * probability,
                }
                for head, probability in (item.probabilities or {}).items()
            },
            multipliers={},
            features=_strongest(bundle.features, matrix[place], total[place]),
        )
        for place, item in enumerate(items)
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
