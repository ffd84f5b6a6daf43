"""The features of the request itself: one formula for training examples and serving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timelines.durations import HOUR_MS


def context_features(
    created_at_ms: NDArray[np.int64], is_retweet: NDArray[np.bool_], request_ms: NDArray[np.int64] | int
) -> NDArray[np.float32]:
    """The columns of ``names.CONTEXT_FEATURES`` for n candidates.

    Args:
        created_at_ms: int64 [n], when the tweets were made, ms UTC; negative where that is not known.
        is_retweet: bool [n], whether the candidate reached the reader by a retweet.
        request_ms: the moment of the request, ms UTC: one for all, or int64 [n].

    Returns:
        float32 [n, 3]; the age is NaN where the creation is not known, and 0 for a tweet from the future.
    """
    created = np.asarray(created_at_ms, dtype=np.int64)
    request = np.broadcast_to(np.asarray(request_ms, dtype=np.int64), created.shape)
    age = np.maximum(request - created, 0) / HOUR_MS
    matrix = np.empty((len(created), 3), dtype=np.float32)
    matrix[:, 0] = np.where(created < 0, np.nan, age)
    matrix[:, 1] = request // HOUR_MS % 24
    matrix[:, 2] = np.asarray(is_retweet, dtype=np.float32)
    return matrix
