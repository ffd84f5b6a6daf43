"""Slices of judged lists: where a model is worse is named."""

from __future__ import annotations

import numpy as np

from features.list_table import ListTable
from features.ranking_log import Candidates
from training.list_slices import LEAST_LISTS, sliced, slices, worse_slices

LISTS, SIZE = 60, 6


def shown() -> ListTable:
    """Lists of six rows; in every second one all authors are new; the first row is the positive one."""
    count = LISTS * SIZE
    request = np.repeat(np.arange(LISTS), SIZE)
    rows = Candidates.shown_together(
        request=request,
        time=request * 1000,
        user=request,
        label=np.where(np.arange(count) % SIZE == 0, 1.0, 0.0),
        later=np.ones(count, dtype=np.bool_),
    )
    before = np.where(request % 2 == 0, 0, 100).astype(np.float32)
    return ListTable(("author_shown",), before[:, None], rows)


def test_a_slice_that_is_worse_is_named_though_the_whole_is_better() -> None:
    table = shown()
    new = slices(table)["new authors"]
    right, wrong = table.rows.label, -table.rows.label
    found = sliced(table, np.where(new, wrong, right), np.where(new, right, wrong), seed=1)
    assert "new authors" in worse_slices(found)
    assert found["new authors"].lists == LISTS // 2
    assert found["new authors"].ndcg_at_10.difference.high < 0


def test_the_same_order_is_worse_nowhere() -> None:
    table = shown()
    assert worse_slices(sliced(table, table.rows.label, table.rows.label, seed=1)) == []


def test_a_slice_of_few_lists_says_nothing() -> None:
    table = shown().where(np.arange(2 * (LEAST_LISTS - 1) * SIZE))
    assert "new authors" not in sliced(table, table.rows.label, table.rows.label, seed=1)
