"""Where two models disagree: how their scores are spread, and the real lists that they order most unlike.

An item that moved is explained by features: what each adds to the score in either model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.labels import LABELS
from training.bundle import Bundle, Scores
from training.dataset import Examples
from training.metrics import Array, Codes, places

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SCORE = "score"


@dataclass(frozen=True)
class Spread:
    """The values of both models at :data:`QUANTILES`."""

    first: Sequence[float]
    second: Sequence[float]


@dataclass(frozen=True)
class Reason:
    """A feature's value (None is missing), and what it adds to the score of the item in either model.

    Both are relative to the mean of the list: what an item has in common with its list does not move it.
    """

    feature: str
    value: float | None
    first: float
    second: float


@dataclass(frozen=True)
class MovedItem:
    """``places`` are from 0, in the first and the second order; ``labels`` are what its reader did."""

    tweet: int
    author: int
    labels: Sequence[str]
    places: tuple[int, int]
    reasons: Sequence[Reason]


@dataclass(frozen=True)
class DisputedList:
    """One list, with the items that moved most; ``distance`` is 0 where both orders are the same."""

    request: str
    reader: int
    items: int
    distance: float
    moved: Sequence[MovedItem]


def spreads(first: Scores, second: Scores) -> dict[str, Spread]:
    """Of the score, and of the probability of each head that both have."""
    columns = {SCORE: (first.score, second.score)}
    for head in first.probabilities:
        if head in second.probabilities:
            columns[head] = (first.probabilities[head], second.probabilities[head])
    return {
        name: Spread(*(np.quantile(values, QUANTILES).tolist() for values in pair))
        for name, pair in columns.items()
    }


def disputed_lists(
    models: tuple[Bundle, Bundle],
    scores: tuple[Scores, Scores],
    examples: Examples,
    lists: int = 3,
    items: int = 3,
    reasons: int = 4,
) -> list[DisputedList]:
    """The ``lists`` that differ most, each with the ``items`` that moved most and the ``reasons`` of each."""
    requests = examples.requests
    orders = [places(requests, part.score) for part in scores]
    moves = np.abs(_discount(orders[0]) - _discount(orders[1]))
    distances = np.bincount(requests, weights=moves)
    strongest = np.argsort(-distances, kind="stable")[:lists]
    found = []
    for number in strongest[distances[strongest] > 0].tolist():
        rows = np.flatnonzero(requests == number)
        part = Examples(examples.frame.iloc[rows].reset_index(drop=True))
        effects = [
            feature_effects(bundle, part, {head: p[rows] for head, p in scored.probabilities.items()})
            for bundle, scored in zip(models, scores, strict=True)
        ]
        top = np.argsort(-moves[rows], kind="stable")[:items]
        frame = part.frame
        found.append(
            DisputedList(
                request=str(frame["request_id"].iloc[0]),
                reader=int(frame["user"].iloc[0]),
                items=len(rows),
                distance=float(distances[number]),
                moved=[
                    MovedItem(
                        tweet=int(frame["tweet"].iloc[row]),
                        author=int(frame["author"].iloc[row]),
                        labels=[name for name, column in LABELS.items() if frame[column].iloc[row] > 0],
                        places=(int(orders[0][rows[row]]), int(orders[1][rows[row]])),
                        reasons=_reasons(
                            models[0].features, part.matrix[row], effects[0][row], effects[1][row], reasons
                        ),
                    )
                    for row in top.tolist()
                    if moves[rows[row]] > 0
                ],
            )
        )
    return found


def feature_effects(bundle: Bundle, part: Examples, probabilities: Mapping[str, Array]) -> Array:
    """What each feature adds to the score of each row of a list, less its mean there, float64 [n, features].

    The contributions to a head's log-odds, times the head's weight and p (1 - p), which is how fast its
    probability moves there: right for small steps, and without what the calibration bends.
    """
    total = np.zeros((len(part), len(bundle.features)))
    for head, contributions in bundle.contributions(part.matrix).items():
        slope = bundle.weights[head] * probabilities[head] * (1 - probabilities[head])
        total += slope[:, None] * contributions[:, :-1]
    return np.asarray(total - total.mean(axis=0))


def _reasons(
    features: Sequence[str], values: NDArray[np.float32], first: Array, second: Array, count: int
) -> list[Reason]:
    order = np.argsort(-np.abs(first - second), kind="stable")[:count]
    return [
        Reason(
            features[column],
            None if np.isnan(values[column]) else float(values[column]),
            float(first[column]),
            float(second[column]),
        )
        for column in order.tolist()
    ]


def _discount(place: Codes) -> Array:
    """What a place is worth to nDCG: moves near the top count most."""
    return np.asarray(1.0 / np.log2(place + 2.0))
