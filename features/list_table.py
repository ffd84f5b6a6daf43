"""The features of a log's candidates as one table: what models and baselines read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.list_features import CATALOGUE, ListFeature
from features.past import Past
from features.ranking_log import Candidates, RankingLog
from features.running import Floats, Ints


@dataclass(frozen=True)
class ListTable:
    """``matrix`` is float32 [n, len(names)], a row per candidate; NaN is missing."""

    names: tuple[str, ...]
    matrix: NDArray[np.float32]
    rows: Candidates

    def column(self, name: str) -> Floats:
        """One feature, all missing where this data has nothing to compute it from."""
        if name not in self.names:
            return np.full(len(self.rows), np.nan)
        return self.matrix[:, self.names.index(name)].astype(np.float64)

    def where(self, kept: NDArray[np.bool_] | Ints) -> ListTable:
        """The rows at the places ``kept``, int64 [m], or those for which it, bool [n], holds."""
        return ListTable(self.names, self.matrix[kept], self.rows.where(kept))


def compute(log: RankingLog, catalogue: Iterable[ListFeature] = CATALOGUE) -> ListTable:
    """Every entry that the log has something to compute from, and the ranks in their requests."""
    past = Past(log)
    names: list[str] = []
    columns: list[NDArray[np.float32]] = []
    for feature in catalogue:
        values = feature.compute(past).astype(np.float32)
        if np.isnan(values).all():
            continue
        names.append(feature.name)
        columns.append(values)
        if not feature.relative:
            continue
        ranks = rank_within(past.rows.request, values)
        if not np.isnan(ranks).all():
            names.append(feature.rank_name)
            columns.append(ranks.astype(np.float32))
    return ListTable(tuple(names), np.column_stack(columns), log.candidates)


def rank_within(requests: Ints, values: NDArray[np.float32]) -> Floats:
    """The share of a request's other rows with a smaller value, ties counting one half; NaN stays NaN."""
    grouped = pd.Series(values).groupby(requests)
    ranks = grouped.rank(method="average").to_numpy(dtype=np.float64)
    sizes = grouped.transform("count").to_numpy(dtype=np.float64)
    return np.where(sizes > 1, (ranks - 1) / np.maximum(sizes - 1, 1), np.nan)
