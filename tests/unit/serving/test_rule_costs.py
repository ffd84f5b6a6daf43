"""What a rule costs is what it takes from the model's order, and a rule that is off takes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from serving.feed.policy import Exploration, default_policy
from serving.feed.rule_costs import NEUTRAL, JudgedList, rule_costs, without
from serving.feed.selection import Recent, Scored, select
from serving.pipeline.selection import best_first

POLICY = replace(default_policy(), exploration=Exploration(share=1.0, depth=10))


def a_list(
    seed: int, *, authors: int = 3, topics: int = 3, outside: float = 0.5, hides: int = 1
) -> JudgedList:
    """A list of 20 whose model is right: what is engaged with has the highest scores."""
    rng = np.random.default_rng(seed)
    scores = rng.random(20)
    candidates = Scored(
        ids=np.arange(20),
        authors=rng.integers(0, authors, 20),
        topics=rng.integers(0, topics, (20, 1)) if topics else np.empty((20, 0), dtype=np.int64),
        out_of_network=rng.random(20) < outside,
        scores=scores,
    )
    recent = Recent(hidden_authors=np.arange(hides), hidden_ago_ms=np.zeros(hides, dtype=np.int64))
    return JudgedList(candidates, recent, (scores >= np.sort(scores)[-6]).astype(np.float64))


def costs(lists: list[JudgedList], page: int = 10) -> dict[str, float]:
    return {row.rules: row.cost.value for row in rule_costs(lists, POLICY, page)}


def test_without_any_rule_the_order_is_the_models() -> None:
    judged = a_list(1)
    order = select(judged.candidates, judged.recent, without(POLICY, NEUTRAL)).order
    assert order.tolist() == best_first(judged.candidates.scores, judged.candidates.ids).tolist()


def test_against_a_model_that_is_right_every_rule_costs_something_and_all_the_most() -> None:
    found = costs([a_list(seed) for seed in range(100)])
    assert list(found) == ["none", *NEUTRAL, "all"]
    assert found.pop("none") == 0
    assert all(cost > 0 for cost in found.values())
    assert max(found, key=found.__getitem__) == "all"


@pytest.mark.parametrize(
    ("rule", "nothing_to_do"),
    [
        ("author diversity", {"authors": 10**9}),
        ("topic diversity", {"topics": 0}),
        ("fatigue", {"hides": 0}),
        ("balance of networks", {"outside": 0.0}),
    ],
)
def test_a_rule_costs_nothing_where_it_has_nothing_to_do(rule: str, nothing_to_do: dict[str, float]) -> None:
    lists = [a_list(seed, **nothing_to_do) for seed in range(20)]  # type: ignore[arg-type]
    found = costs(lists)
    assert found[rule] == 0
    assert found["all"] > 0


def test_exploration_costs_nothing_where_the_page_is_the_whole_list() -> None:
    assert costs([a_list(seed) for seed in range(20)], page=20)["exploration"] == 0


def test_the_cost_is_the_difference_of_the_two_gains() -> None:
    none, *others = rule_costs([a_list(seed) for seed in range(30)], POLICY, 10)
    assert none.ndcg_10.value == pytest.approx(1)
    for row in others:
        assert row.cost.value == pytest.approx(none.ndcg_10.value - row.ndcg_10.value)
        assert row.cost.low <= row.cost.value <= row.cost.high


def test_without_lists_nothing_is_known() -> None:
    assert all(math.isnan(row.cost.value) for row in rule_costs([], POLICY, 10))
