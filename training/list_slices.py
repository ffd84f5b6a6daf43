"""Parts of the judged lists in which a model may be worse than a baseline while it is better on the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.list_table import ListTable
from training.list_report import with_positives
from training.metrics import Array, ndcg, popularity_groups
from training.paired import Paired, paired_means
from training.slices import NEW

LEAST_LISTS = 20
"""Of fewer lists a slice says nothing."""
SIZES = ("author_followers", "followers", "author_shown", "item_shown")
"""What popularity is told by: the first that the data have."""
NEWCOMERS = {"readers": "user_shown", "authors": "author_shown", "items": "item_shown"}


@dataclass(frozen=True)
class ListSlice:
    """``ndcg_at_10`` of the model and the baseline over ``lists`` lists, cut to the rows of the slice."""

    lists: int
    ndcg_at_10: Paired

    @property
    def worse(self) -> bool:
        """Whether the model is worse than the baseline by more than chance."""
        return self.ndcg_at_10.difference.high < 0

    def flat(self) -> dict[str, float | bool]:
        """Plain values for a report."""
        paired = self.ndcg_at_10
        return {
            "lists": self.lists,
            "champion": paired.first.value,
            "baseline": paired.second.value,
            "difference": paired.difference.value,
            "difference_low": paired.difference.low,
            "difference_high": paired.difference.high,
            "worse": self.worse,
        }


def slices(table: ListTable) -> dict[str, NDArray[np.bool_]]:
    """Which rows are in each part, bool [n]: fifths by popularity, and who or what was hardly shown yet."""
    found: dict[str, NDArray[np.bool_]] = {}
    known = (name for name in SIZES if name in table.names)
    if size := next(known, None):
        groups = popularity_groups(table.column(size))
        found |= {f"fifth {group + 1} by {size}": groups == group for group in range(5)}
    for who, shown in NEWCOMERS.items():
        if shown in table.names:
            found[f"new {who}"] = table.column(shown) < NEW
    return found


def sliced(table: ListTable, champion: Array, baseline: Array, seed: int) -> dict[str, ListSlice]:
    """Model and baseline in every slice of the judged rows that is of enough lists, by their scores [n]."""
    results: dict[str, ListSlice] = {}
    for name, rows in slices(table).items():
        kept = rows & table.rows.judged
        if not kept.any():
            continue
        lists = np.unique(table.rows.list[kept], return_inverse=True)[1].astype(np.int64)
        labels = table.rows.label[kept]
        some = with_positives(lists, labels)
        count = int(some.sum())
        if count >= LEAST_LISTS:
            ours, theirs = (ndcg(lists, labels, scores[kept])[some] for scores in (champion, baseline))
            results[name] = ListSlice(count, paired_means(ours, theirs, np.arange(count), seed))
    return results


def worse_slices(results: Mapping[str, ListSlice]) -> list[str]:
    """The names of the slices in which the model is worse."""
    return [name for name, part in results.items() if part.worse]
