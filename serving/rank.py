"""Scores of a caller's own candidates, by the model in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.feed.candidates import FOLLOWING
from serving.feed.features import Features
from serving.feed.feed import Models
from serving.feed.out_of_network import table
from serving.feed.query import FeedQuery
from serving.reads import Reads
from serving.shapes import RankAnswer, RankedItem


class ModelMissingError(RuntimeError):
    """No model is loaded: nothing can be scored."""


@dataclass(frozen=True)
class Ranker:
    """``count_missing`` is told how many feature rows of a view were absent or stale."""

    reads: Reads
    models: Models
    now_ms: Callable[[], int]
    count_missing: Callable[[str, int], None] = field(repr=False)

    async def rank(self, user: int, tweet_ids: Sequence[int]) -> RankAnswer:
        """Scores in the order asked for; tweets without a body, or deleted, are named and not scored.

        Raises:
            ModelMissingError: no model is loaded.
            FeaturesMissingError: there is no feature row for the user, nor for any of the tweets.
            redis.exceptions.RedisError: the store did not answer.
        """
        model = self.models.current
        if model is None:
            raise ModelMissingError("No model is loaded at the moment.")
        asked = list(dict.fromkeys(tweet_ids))
        bodies = await self.reads.bodies(asked)
        known = [body for body in bodies if body is not None and not body.deleted]
        unknown = [
            str(tweet) for tweet, body in zip(asked, bodies, strict=True) if body is None or body.deleted
        ]
        if not known:
            return {"model": model.version, "items": [], "unknown": unknown}
        now_ms = self.now_ms()
        candidates = table(known, FOLLOWING)
        features = Features(self.reads.redis, self.reads.keys, self.count_missing)
        query = FeedQuery(user, len(known), now_ms, request_id="")
        matrix = (await features.hydrate(query, candidates))["features"]
        scores = await asyncio.to_thread(model.bundle.score, matrix)
        probabilities = {head: values.tolist() for head, values in scores.probabilities.items()}
        items: list[RankedItem] = [
            {
                "id": str(tweet),
                "score": score if np.isfinite(score) else None,
                "probabilities": {head: values[place] for head, values in probabilities.items()},
            }
            for place, (tweet, score) in enumerate(
                zip(candidates.original.tolist(), scores.score.tolist(), strict=True)
            )
        ]
        return {"model": model.version, "items": items, "unknown": unknown}
