"""Exploration: seeded, rare, in the lower half of the page, and logged with the chance that it had."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.exploration import Explored, contest, explore
from serving.feed.policy import Exploration

requests = st.text(max_size=12)
rules = st.builds(Exploration, share=st.floats(0, 1), depth=st.integers(0, 12))
sizes = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))


def a_page(size: tuple[int, int, int], rule: Exploration, request: str) -> Explored:
    items, page, scored = size
    return explore(np.arange(items) + 100, min(scored, items), page, rule, request, "salt")


@given(sizes, rules, requests)
def test_nothing_is_lost_or_shown_twice(size: tuple[int, int, int], rule: Exploration, request: str) -> None:
    assert sorted(a_page(size, rule, request).order.tolist()) == [100 + place for place in range(size[0])]


@given(sizes, rules, requests)
def test_the_same_request_gets_the_same_page(
    size: tuple[int, int, int], rule: Exploration, request: str
) -> None:
    first, second = a_page(size, rule, request), a_page(size, rule, request)
    assert first.order.tolist() == second.order.tolist()
    assert first.propensities.tolist() == second.propensities.tolist()


@given(sizes, rules, requests)
def test_one_slot_of_the_lower_half_changes_and_its_item_goes_first_below(
    size: tuple[int, int, int], rule: Exploration, request: str
) -> None:
    items, page, scored = size
    page = min(page, items)
    explored = a_page(size, rule, request)
    moved = np.flatnonzero(explored.order[:page] != np.arange(page) + 100).tolist()
    assert moved == ([] if explored.slot is None else [explored.slot])
    if explored.slot is not None:
        assert page // 2 <= explored.slot < page
        assert explored.order[page] == 100 + explored.slot
        drawn = explored.order[explored.slot] - 100
        assert page <= drawn < min(scored, page + rule.depth)
        below = explored.order[page + 1 :].tolist()
        assert below == sorted(below)


@given(sizes, rules, requests)
def test_a_contest_names_both_items_whichever_of_them_is_shown(
    size: tuple[int, int, int], rule: Exploration, request: str
) -> None:
    items, page, scored = size
    page, scored = min(page, items), min(scored, items)
    explored = a_page(size, rule, request)
    drawn = contest(scored, page, rule, request, "salt")
    if drawn is None:
        assert explored.propensities.tolist() == [1.0] * page
        return
    ranked, below = 100 + drawn.slot, 100 + page + drawn.below
    assert page // 2 <= drawn.slot < page <= page + drawn.below < scored
    if drawn.explored:
        assert (explored.order[drawn.slot], explored.order[page]) == (below, ranked)
    else:
        assert (explored.order[drawn.slot], explored.order[page + drawn.below]) == (ranked, below)


def test_what_is_contested_does_not_depend_on_whether_the_page_explores() -> None:
    never, always = (
        [contest(30, 10, Exploration(share, 12), f"r{n}", "salt") for n in range(300)] for share in (0.0, 1.0)
    )
    for one, other in zip(never, always, strict=True):
        assert one is not None
        assert other is not None
        assert (one.slot, one.below) == (other.slot, other.below)
        assert (one.explored, other.explored) == (False, True)
    drawn = Counter((one.slot, one.below) for one in never if one is not None)
    assert len(drawn) == 60
    assert max(drawn.values()) < 20


def test_requests_and_salts_explore_independently() -> None:
    rule = Exploration(share=0.5, depth=5)
    pages = [explore(np.arange(20), 20, 10, rule, f"r{n}", salt).slot for salt in "ab" for n in range(200)]
    chose = [slot is not None for slot in pages]
    assert chose[:200] != chose[200:]
    assert 140 < sum(chose) < 260


@pytest.mark.parametrize(
    ("items", "page", "scored", "share", "depth"),
    [(30, 7, 30, 0.3, 4), (9, 6, 9, 1.0, 50), (20, 5, 7, 0.5, 10), (4, 1, 4, 0.6, 2)],
)
def test_each_propensity_is_how_often_the_item_stands_there(
    items: int, page: int, scored: int, share: float, depth: int
) -> None:
    seeds = 20_000
    rule = Exploration(share=share, depth=depth)
    stood: Counter[tuple[int, int]] = Counter()
    said: dict[tuple[int, int], float] = {}
    for seed in range(seeds):
        explored = explore(np.arange(items), scored, page, rule, f"request-{seed}", "salt")
        for slot, (item, propensity) in enumerate(
            zip(explored.order[:page].tolist(), explored.propensities.tolist(), strict=True)
        ):
            stood[slot, item] += 1
            assert said.setdefault((slot, item), propensity) == propensity
    for pair, propensity in said.items():
        deviation = (propensity * (1 - propensity) / seeds) ** 0.5
        assert stood[pair] / seeds == pytest.approx(propensity, abs=5 * deviation + 1e-12)
    for slot in range(page):
        assert sum(chance for (where, _), chance in said.items() if where == slot) == pytest.approx(1)


@pytest.mark.parametrize(("items", "scored", "depth"), [(10, 10, 5), (30, 10, 5), (30, 30, 0)])
def test_without_scored_items_below_the_page_is_as_ranked(items: int, scored: int, depth: int) -> None:
    explored = explore(np.arange(items), scored, 10, Exploration(1.0, depth), "r", "salt")
    assert explored.order.tolist() == list(range(items))
    assert explored.propensities.tolist() == [1.0] * 10
    assert explored.slot is None
