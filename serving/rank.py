"""Scores of a caller's own candidates, by the model in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.context import context_features
from features.names import VIEWS
from features.rows import wide_read
from serving.feed.features import FeaturesMissingError
from serving.feed.feed import Models
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
        tweets = np.array([body.tweet_id for body in known], dtype=np.int64)
        authors = np.array([body.author_id for body in known], dtype=np.int64)
        ids = {"user": np.full(len(known), user, dtype=np.int64), "author": authors, "tweet": tweets}
        wide = await wide_read(self.reads.redis, self.reads.keys, VIEWS, ids, now_ms)
        if not wide.present.any():
            raise FeaturesMissingError("There is no feature row for this user, nor for any of the tweets.")
        for view, present in zip(VIEWS, wide.present.sum(axis=0).tolist(), strict=True):
            if present < len(known):
                self.count_missing(view.name, len(known) - present)
        created = np.array([body.created_at for body in known], dtype=np.int64)
        context = context_features(created, np.zeros(len(known), dtype=np.bool_), now_ms)
        matrix = np.concatenate([wide.matrix, context], axis=1, dtype=np.float32)
        scores = await asyncio.to_thread(model.bundle.score, matrix)
        probabilities = {head: values.tolist() for head, values in scores.probabilities.items()}
        items: list[RankedItem] = [
            {
                "id": str(tweet),
                "score": score if np.isfinite(score) else None,
                "probabilities": {head: values[place] for head, values in probabilities.items()},
            }
            for place, (tweet, score) in enumerate(zip(tweets.tolist(), scores.score.tolist(), strict=True))
        ]
        return {"model": model.version, "items": items, "unknown": unknown}
