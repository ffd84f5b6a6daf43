"""Selection: nothing is lost, nobody's share is exceeded, and no penalty is a reward."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
import selection_model
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.multipliers import author_diversity, fatigue, topic_diversity
from serving.feed.policy import Diversity, Fatigue, Network, Policy, default_policy
from serving.feed.selection import Recent, Scored, Selected, balanced, select
from timelines.durations import DAY_MS
from timelines.topics import NO_TOPIC

fractions = st.one_of(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), st.floats(0, 1))
model_scores = st.one_of(
    st.just(math.nan), st.sampled_from([0.0, 0.001, 0.5]), st.floats(0, 1e6, allow_subnormal=False)
)
rows = st.lists(
    st.tuples(
        model_scores,
        st.integers(1, 4),
        st.lists(st.one_of(st.just(NO_TOPIC), st.integers(0, 4)), min_size=3, max_size=3),
        st.booleans(),
    ),
    max_size=30,
)
few_ids = st.lists(st.integers(0, 5), max_size=8)


def ids(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


@st.composite
def candidates(draw: st.DrawFn) -> Scored:
    drawn = draw(rows)
    return Scored(
        ids=ids(*draw(st.permutations(range(10**15, 10**15 + len(drawn))))),
        authors=ids(*(author for _, author, _, _ in drawn)),
        topics=np.array([topics for _, _, topics, _ in drawn], dtype=np.int64).reshape(len(drawn), 3),
        out_of_network=np.array([outside for *_, outside in drawn], dtype=np.bool_),
        scores=np.array([score for score, *_ in drawn], dtype=np.float64),
    )


@st.composite
def histories(draw: st.DrawFn) -> Recent:
    hidden = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(-DAY_MS, 400 * DAY_MS)), max_size=6))
    return Recent(
        authors=ids(*draw(few_ids)),
        topics=ids(*draw(few_ids)),
        hidden_authors=ids(*(author for author, _ in hidden)),
        hidden_ago_ms=ids(*(ago for _, ago in hidden)),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return msgspec.structs.replace(
        default_policy(),
        network=Network(draw(fractions)),
        diversity=Diversity(*(draw(fractions) for _ in range(4)), carry_minutes=30),
        fatigue=Fatigue(draw(fractions), draw(st.floats(0.01, 3650))),
    )


def in_order(candidates: Scored, selected: Selected) -> list[int]:
    return [int(place) for place in candidates.ids[selected.order]]


@given(candidates(), histories(), policies())
def test_every_candidate_gets_one_slot(scored: Scored, recent: Recent, policy: Policy) -> None:
    assert sorted(in_order(scored, select(scored, recent, policy))) == sorted(scored.ids.tolist())


@given(candidates(), histories(), policies(), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_input(
    scored: Scored, recent: Recent, policy: Policy, random: Any
) -> None:
    places = list(range(len(scored.ids)))
    random.shuffle(places)
    mixed = ids(*places)
    shuffled = Scored(
        scored.ids[mixed],
        scored.authors[mixed],
        scored.topics[mixed],
        scored.out_of_network[mixed],
        scored.scores[mixed],
    )
    first, second = select(scored, recent, policy), select(shuffled, recent, policy)
    assert in_order(scored, first) == in_order(shuffled, second)
    np.testing.assert_array_equal(first.scores[mixed], second.scores)


@given(candidates(), histories(), policies())
def test_no_multiplier_raises_a_score(scored: Scored, recent: Recent, policy: Policy) -> None:
    selected = select(scored, recent, policy)
    for factors in selected.multipliers:
        assert ((factors >= 0) & (factors <= 1)).all()
    known = ~np.isnan(scored.scores)
    assert (selected.scores[known] <= scored.scores[known]).all()
    np.testing.assert_array_equal(np.isnan(selected.scores), ~known)


@given(candidates(), histories(), policies())
def test_the_unscored_come_last(scored: Scored, recent: Recent, policy: Policy) -> None:
    selected = select(scored, recent, policy)
    unscored = np.isnan(scored.scores[selected.order])
    assert unscored.tolist() == [False] * selected.scored + [True] * (len(unscored) - selected.scored)


@given(candidates(), histories(), policies())
def test_diversity_is_what_a_walk_from_the_best_down_counts(
    scored: Scored, recent: Recent, policy: Policy
) -> None:
    multipliers, rule = select(scored, recent, policy).multipliers, policy.diversity
    scores, newest = scored.scores.tolist(), scored.ids.tolist()
    authors = [{author} for author in scored.authors.tolist()]
    topics = [set(row) - {NO_TOPIC} for row in scored.topics.tolist()]
    by_author = selection_model.diversity(
        scores, newest, authors, recent.authors.tolist(), rule.author_decay, rule.author_floor
    )
    by_topic = selection_model.diversity(
        scores, newest, topics, recent.topics.tolist(), rule.topic_decay, rule.topic_floor
    )
    assert multipliers.author_diversity.tolist() == pytest.approx(by_author)
    assert multipliers.topic_diversity.tolist() == pytest.approx(by_topic)


@given(candidates(), histories(), policies())
def test_the_order_is_what_a_walk_down_the_slots_chooses(
    scored: Scored, recent: Recent, policy: Policy
) -> None:
    selected = select(scored, recent, policy)
    expected = selection_model.order(
        selected.scores.tolist(),
        scored.ids.tolist(),
        scored.out_of_network.tolist(),
        policy.network.out_of_network,
    )
    assert selected.order.tolist() == expected


@given(st.lists(st.booleans(), max_size=60), fractions)
def test_no_beginning_of_the_feed_exceeds_the_share_while_followed_accounts_are_left(
    outside: list[bool], share: float
) -> None:
    order = balanced(np.array(outside, dtype=np.bool_), share, len(outside))
    flags = np.array(outside, dtype=np.bool_)[order]
    left = outside.count(False) - np.cumsum(~flags)
    seen = np.cumsum(flags)
    slots = np.arange(1, len(flags) + 1)
    assert (seen <= np.floor(share * slots + 1e-6))[left > 0].all()


@given(st.lists(st.booleans(), max_size=60), fractions)
def test_each_network_keeps_its_own_order(outside: list[bool], share: float) -> None:
    order = balanced(np.array(outside, dtype=np.bool_), share, len(outside)).tolist()
    for network in (True, False):
        of_it = [place for place in order if outside[place] is network]
        assert of_it == sorted(of_it)


def test_a_share_that_floats_cannot_hold_is_still_met_exactly() -> None:
    outside = np.array([True] * 100 + [False] * 100)
    flags = outside[balanced(outside, 0.29, 200)]
    assert flags[:100].sum() == 29


@pytest.mark.parametrize(("share", "first"), [(0.0, 101), (0.01, 100), (0.3, 4), (0.5, 2), (1.0, 1)])
def test_the_first_item_from_outside_comes_when_the_share_makes_one(share: float, first: int) -> None:
    outside = np.array([True] + [False] * 100)
    assert balanced(outside, share, 101).tolist().index(0) + 1 == first


def test_without_followed_accounts_the_rest_is_a_feed() -> None:
    assert balanced(np.ones(5, dtype=np.bool_), 0.0, 5).tolist() == [0, 1, 2, 3, 4]


def test_what_was_served_counts_as_standing_above() -> None:
    authors, best_first = ids(7, 7, 8), np.array([0, 1, 2])
    fresh = author_diversity(best_first, authors, ids(), 0.5, 0.2)
    carried = author_diversity(best_first, authors, ids(7, 9), 0.5, 0.2)
    assert fresh.tolist() == [1.0, 0.5, 1.0]
    assert carried.tolist() == [0.5, 0.25, 1.0]


def test_diversity_stops_at_its_floor() -> None:
    assert author_diversity(np.arange(5), ids(1, 1, 1, 1, 1), ids(), 0.5, 0.25).tolist() == [
        1.0,
        0.5,
        0.25,
        0.25,
        0.25,
    ]


def test_the_most_frequent_topic_decides() -> None:
    topics = np.array([[1, NO_TOPIC], [1, 2], [2, 1], [NO_TOPIC, NO_TOPIC], [3, 3]], dtype=np.int64)
    assert topic_diversity(np.arange(5), topics, ids(2, 2, 2), 0.5, 0.0).tolist() == [
        1.0,
        0.125,
        0.0625,
        1,
        1,
    ]


def test_candidates_without_any_topics_are_not_touched() -> None:
    assert topic_diversity(np.arange(2), np.empty((2, 0), dtype=np.int64), ids(1), 0.5, 0.0).tolist() == [
        1,
        1,
    ]


def test_a_hidden_author_comes_back_by_half_each_half_life() -> None:
    policy = Fatigue(fresh=0.2, half_life_days=30)
    ago = ids(0, 30 * DAY_MS, 60 * DAY_MS, -5)
    factors = fatigue(ids(1, 2, 3, 4, 5), ids(1, 2, 3, 4), ago, policy)
    assert factors.tolist() == pytest.approx([0.2, 0.6, 0.8, 0.2, 1.0])


def test_the_last_of_several_hides_counts() -> None:
    policy = Fatigue(fresh=0.0, half_life_days=1)
    factors = fatigue(ids(3, 1), ids(1, 3, 1), ids(5 * DAY_MS, DAY_MS, 2 * DAY_MS), policy)
    assert factors.tolist() == pytest.approx([0.5, 0.75])


@given(st.lists(st.floats(0, 4000), min_size=2), st.floats(0, 1), st.floats(0.01, 3650))
def test_fatigue_never_grows_with_time(days: list[float], fresh: float, half_life: float) -> None:
    ago = ids(*(int(day * DAY_MS) for day in sorted(days)))
    authors = np.arange(len(ago))
    factors = fatigue(authors, authors, ago, Fatigue(fresh, half_life))
    assert (np.diff(factors) >= 0).all()
    assert (factors >= fresh - 1e-12).all()
    assert (factors <= 1).all()
