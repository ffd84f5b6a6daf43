"""What each rung of the ladder costs: nDCG@10 of its order, beside that of the full rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serving.feed.ladder import RUNGS, budget
from serving.feed.policy import Budgets
from serving.pipeline.selection import best_first
from serving.pipeline.stages import Rows
from serving.shapes import Rung
from timelines.entry import Ids
from training.metrics import Array, Interval, mean_interval, ndcg

COMPARED: tuple[Rung, ...] = (*RUNGS, "chronological")


@dataclass(frozen=True)
class JudgedRequest:
    """All candidates of a request, [n] each: ids that rise with time, what the light ranker and the heads
    make of them, and ``worth``, what showing them would truly bring.
    """

    ids: Ids
    light: Array
    scores: Array
    worth: Array


@dataclass(frozen=True)
class RungCost:
    """nDCG@10 of a rung's order, and how much less than the full rung's, request by request."""

    rung: Rung
    ndcg_10: Interval
    cost: Interval


def rung_costs(requests: Sequence[JudgedRequest], budgets: Budgets, seed: int = 0) -> list[RungCost]:
    """Every rung over the same requests, without the rules of selection."""
    gains: Mapping[Rung, Array] = {
        rung: np.array([_gain(request, order(request, rung, budgets)) for request in requests])
        for rung in COMPARED
    }
    return [
        RungCost(rung, mean_interval(gains[rung], seed), mean_interval(gains["full"] - gains[rung], seed))
        for rung in COMPARED
    ]


def order(request: JudgedRequest, rung: Rung, budgets: Budgets) -> Rows:
    """The candidates that are left on this rung, best first: its budgets leave the newest, then the best."""
    newest = np.argsort(-request.ids, kind="stable")
    if rung not in RUNGS:
        return newest
    cost = budget(rung, budgets)
    looked_at = newest[: cost.candidates]
    by_light = looked_at[best_first(request.light[looked_at], request.ids[looked_at])]
    if not cost.heads:
        return by_light
    scored = by_light[: cost.heads]
    return scored[best_first(request.scores[scored], request.ids[scored])]


def _gain(request: JudgedRequest, rows: Rows) -> float:
    """nDCG@10 over all candidates: what did not come through stands last."""
    places = np.full(len(request.ids), len(request.ids), dtype=np.float64)
    places[rows] = np.arange(len(rows))
    (gain,) = ndcg(np.zeros(len(places), dtype=np.int64), request.worth, -places)
    return float(gain)
