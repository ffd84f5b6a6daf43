"""What each rule of selection costs: nDCG@10 of lists with the rule, beside the model's own order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import replace

from serving.feed.exploration import explore
from serving.feed.policy import Policy
from serving.feed.selection import Recent, Scored, select
from training.metrics import Array, Interval, mean_interval, ndcg

NEUTRAL: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "author diversity": ("diversity", {"author_decay": 1.0}),
    "topic diversity": ("diversity", {"topic_decay": 1.0}),
    "fatigue": ("fatigue", {"fresh": 1.0}),
    "balance of networks": ("network", {"out_of_network": 1.0}),
    "exploration": ("exploration", {"share": 0.0}),
}
"""Per rule the section of the policy, and the values with which it changes nothing."""


@dataclass(frozen=True)
class JudgedList:
    """A recorded list; ``recent`` is as it was then, ``labels`` [n] are 1 where the reader engaged."""

    candidates: Scored
    recent: Recent
    labels: Array


@dataclass(frozen=True)
class RuleCost:
    """nDCG@10 with these rules alone, and how much less than without any, list by list."""

    rules: str
    ndcg_10: Interval
    cost: Interval


def without(policy: Policy, rules: Collection[str]) -> Policy:
    """The policy with those rules of ``NEUTRAL`` changing nothing."""
    for rule in rules:
        section, neutral = NEUTRAL[rule]
        policy = replace(policy, **{section: replace(getattr(policy, section), **neutral)})
    return policy


def rule_costs(lists: Sequence[JudgedList], policy: Policy, page: int, seed: int = 0) -> list[RuleCost]:
    """The order of no rule, of each rule alone, and of all, over the same lists; pages of ``page`` items."""
    alone = {rule: without(policy, NEUTRAL.keys() - {rule}) for rule in NEUTRAL}
    plain = _gains(lists, without(policy, NEUTRAL), page)
    rows = [RuleCost("none", mean_interval(plain, seed), mean_interval(plain - plain, seed))]
    for rules, changed in {**alone, "all": policy}.items():
        gains = _gains(lists, changed, page)
        rows.append(RuleCost(rules, mean_interval(gains, seed), mean_interval(plain - gains, seed)))
    return rows


def _gains(lists: Sequence[JudgedList], policy: Policy, page: int) -> Array:
    """nDCG@10 of each list in the order that the policy gives it."""
    gains = np.empty(len(lists))
    for number, judged in enumerate(lists):
        selected = select(judged.candidates, judged.recent, policy)
        explored = explore(
            selected.order, selected.scored, page, policy.exploration, str(number), policy.version
        )
        slots = np.empty(len(explored.order))
        slots[explored.order] = np.arange(len(slots))
        (gains[number],) = ndcg(np.zeros(len(slots), dtype=np.int64), judged.labels, -slots)
    return gains
