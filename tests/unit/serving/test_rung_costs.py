"""What a rung costs is what its budgets leave out, and the full rung costs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from serving.feed.policy import Budgets
from serving.feed.rung_costs import COMPARED, JudgedRequest, order, rung_costs

BUDGETS = Budgets(candidates=40, heads=20, reduced_candidates=20, reduced_heads=10)


def a_request(seed: int) -> JudgedRequest:
    """Fifty candidates; the heads are right, the light ranker nearly so, and time says nothing."""
    rng = np.random.default_rng(seed)
    worth = rng.random(50)
    return JudgedRequest(np.arange(50), worth + rng.normal(0, 0.3, 50), worth, worth)


def test_each_rung_leaves_what_its_budgets_allow_best_first() -> None:
    request = a_request(1)
    full, reduced, light, chronological = (order(request, rung, BUDGETS) for rung in COMPARED)
    assert [len(rows) for rows in (full, reduced, light, chronological)] == [20, 10, 20, 50]
    assert set(reduced.tolist()) <= set(light.tolist()) == set(range(30, 50))
    assert min(full) >= 10
    for rows in (full, reduced):
        assert np.all(np.diff(request.scores[rows]) <= 0)
    assert np.all(np.diff(request.light[light]) <= 0)
    assert chronological.tolist() == list(range(49, -1, -1))


def test_every_step_down_costs_something_and_the_full_rung_nothing() -> None:
    found = {row.rung: row.cost.value for row in rung_costs([a_request(seed) for seed in range(60)], BUDGETS)}
    assert found["full"] == 0
    assert 0 < found["reduced"] < found["light"] < found["chronological"]


def test_what_a_budget_leaves_out_is_missed_in_the_gain() -> None:
    worth = np.zeros(50)
    worth[0] = 1  # the oldest, which no rung but the chronological looks at
    request = JudgedRequest(np.arange(50), worth, worth, worth)
    assert [row.ndcg_10.value for row in rung_costs([request], BUDGETS)] == [0, 0, 0, 0]
    generous = Budgets(candidates=50, heads=20, reduced_candidates=20, reduced_heads=10)
    full, *others = rung_costs([request], generous)
    assert full.ndcg_10.value == pytest.approx(1)
    assert [row.cost.value for row in others] == pytest.approx([1, 1, 1])
