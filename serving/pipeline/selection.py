"""Ordering by score: unscored (NaN) last, equal scores by id, newest first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serving.pipeline.stages import Rows


def best_first(scores: NDArray[np.float64], ids: NDArray[np.int64]) -> Rows:
    """Rows from best to worst, of ``scores`` [n] and ``ids`` [n]; input order does not matter."""
    return np.asarray(np.lexsort((-ids, -scores, np.isnan(scores))))
