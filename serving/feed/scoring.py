"""Scores of candidates from the model's heads, and the orders that follow from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from serving.feed.candidates import Candidates
from serving.feed.ladder import HeadsClock, NoTimeForHeadsError
from serving.feed.query import FeedQuery
from serving.pipeline.selection import best_first
from serving.pipeline.stages import Columns, Order
from training.bundle import Bundle


@dataclass(frozen=True)
class LightRanker:
    """The bundle's light ranker over all candidates: only its order means something.

    The call runs in a thread: LightGBM lets the interpreter go, so that other requests proceed meanwhile.
    """

    bundle: Bundle = field(repr=False)
    required: bool = True
    name: str = "light_ranker"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        return {"light": await asyncio.to_thread(self.bundle.light_score, candidates.features)}


@dataclass(frozen=True)
class Heads:
    """The bundle's heads over all candidates, each in one call; in a thread, as the light ranker.

    Refuses to begin what would not end before the deadline; ``seconds`` is the runner's clock.
    """

    bundle: Bundle = field(repr=False)
    heads_clock: HeadsClock = field(repr=False)
    seconds: Callable[[], float] = field(repr=False)
    name: str = "heads"

    async def score(self, query: FeedQuery, candidates: Candidates) -> Columns:
        started, n = self.seconds(), len(candidates)
        if query.deadline is not None and not self.heads_clock.fits(n, query.deadline - started):
            raise NoTimeForHeadsError(f"The heads take too long for {n} candidates.")
        try:
            scores = await asyncio.to_thread(self.bundle.score, candidates.features)
        finally:  # cancelled at the deadline, too: they took that long at least
            self.heads_clock.learn(n, self.seconds() - started)
        probabilities = np.stack([scores.probabilities[head] for head in self.bundle.weights], axis=1)
        return {"probabilities": probabilities, "model_score": scores.score, "score": scores.score}


@dataclass(frozen=True)
class LightScores:
    """Ranks by the light ranker alone: what is left where the heads have no time.

    Its scores have no size, only an order: the best of n counts 1, the last 1/n.
    """

    name: str = "light_scores"

    async def score(self, query: FeedQuery, candidates: Candidates) -> Columns:
        n = len(candidates)
        score = np.empty(n)
        score[best_first(candidates.light, candidates.appearance)] = np.arange(n, 0, -1) / n
        return {"model_score": score, "score": score}


@dataclass(frozen=True)
class NewestFirst:
    """By appearance, newest first."""

    name: str = "newest_first"

    def select(self, query: FeedQuery, candidates: Candidates) -> Order:
        return Order(np.argsort(-candidates.appearance, kind="stable"), query.limit)


@dataclass(frozen=True)
class AsRanked:
    """In the order of the kept ranking."""

    name: str = "as_ranked"

    def select(self, query: FeedQuery, candidates: Candidates) -> Order:
        return Order(np.argsort(candidates.rank, kind="stable"), query.limit)
