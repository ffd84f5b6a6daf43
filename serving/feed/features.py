"""The model's input for every candidate: stored rows of all views in one wide read, and the context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.context import context_features
from features.names import VIEWS
from features.rows import wide_read
from serving.feed.candidates import Candidates
from serving.feed.query import FeedQuery
from serving.pipeline.stages import Columns
from timelines.keys import Keyspace


class FeaturesMissingError(RuntimeError):
    """Not one feature row is there for this request: a score would be a guess."""


@dataclass(frozen=True)
class Features:
    """Rows of float32 [n, len(MODEL_INPUT)], in that order; NaN is missing.

    ``count_missing`` is told how many rows of a view were absent or stale.
    """

    redis: Any = field(repr=False)
    keys: Keyspace
    count_missing: Callable[[str, int], None] = field(repr=False)
    required: bool = True
    name: str = "features"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        n = len(candidates)
        ids = {
            "user": np.full(n, query.reader, dtype=np.int64),
            "author": candidates.original_author,
            "tweet": candidates.original,
        }
        wide = await wide_read(self.redis, self.keys, VIEWS, ids, query.now_ms)
        if not wide.present.any():
            raise FeaturesMissingError("There is no feature row for this reader, nor for any candidate.")
        for view, present in zip(VIEWS, wide.present.sum(axis=0).tolist(), strict=True):
            if present < n:
                self.count_missing(view.name, n - present)
        context = context_features(candidates.created_at, candidates.is_retweet, query.now_ms)
        return {"features": np.concatenate([wide.matrix, context], axis=1, dtype=np.float32)}
