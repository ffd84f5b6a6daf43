"""The model's input for every candidate: stored rows of all views in one wide read, and the context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.context import context_features
from features.names import VIEWS
from features.rows import wide_read
from serving.feed.query import Candidate, FeedQuery
from timelines.keys import Keyspace


class FeaturesMissingError(RuntimeError):
    """Not one feature row is there for this request: a score would be a guess."""


@dataclass(frozen=True)
class Features:
    """Rows of float32 [len(MODEL_INPUT)], in that order; NaN is missing.

    ``count_missing`` is told how many rows of a view were absent or stale.
    """

    redis: Any = field(repr=False)
    keys: Keyspace
    count_missing: Callable[[str, int], None] = field(repr=False)
    required: bool = True
    name: str = "features"

    async def hydrate(
        self, query: FeedQuery, candidates: Sequence[Candidate]
    ) -> Sequence[NDArray[np.float32]]:
        n = len(candidates)
        ids = {
            "user": np.full(n, query.reader, dtype=np.int64),
            "author": np.array([c.original_author for c in candidates], dtype=np.int64),
            "tweet": np.array([c.original_id for c in candidates], dtype=np.int64),
        }
        wide = await wide_read(self.redis, self.keys, VIEWS, ids, query.now_ms)
        if not wide.present.any():
            raise FeaturesMissingError("There is no feature row for this reader, nor for any candidate.")
        for view, present in zip(VIEWS, wide.present.sum(axis=0).tolist(), strict=True):
            if present < n:
                self.count_missing(view.name, n - present)
        context = context_features(
            np.array([_created_at(c) for c in candidates], dtype=np.int64),
            np.array([c.is_retweet for c in candidates], dtype=np.bool_),
            query.now_ms,
        )
        return list(np.concatenate([wide.matrix, context], axis=1, dtype=np.float32))

    def apply(self, candidate: Candidate, patch: NDArray[np.float32]) -> Candidate:
        return msgspec.structs.replace(candidate, features=patch)


def _created_at(candidate: Candidate) -> int:
    if candidate.body is None:
        raise ValueError("Features are read after bodies.")
    return candidate.body.created_at
