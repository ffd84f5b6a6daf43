"""The rungs of ranking: what each costs, and when a request steps down."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

import msgspec
import numpy as np
import pytest

from features.names import MODEL_INPUT
from serving.feed.feed import OPERATIONAL
from serving.feed.ladder import RUNGS, Budget, HeadsClock, Ladder, Load, budget
from serving.feed.policy import Budgets, default_policy
from serving.model_store import Model
from serving.pipeline.runner import Runner
from tests.unit.serving.test_feed_ladder import AgeModel, ids, ranking

__all__ = ["ranking"]
LADDER = Ladder({"full": 1, "reduced": 2, "light": 3}, {"full": 0.2, "reduced": 0.4, "light": 0.6})
BUDGETS = Budgets(candidates=5, heads=2, reduced_candidates=3, reduced_heads=2)


class LightAgeModel(AgeModel):
    """Its light ranker prefers the newest, its heads the oldest: who ordered a page shows."""

    light = object()

    def light_score(self, matrix: Any) -> Any:
        return -matrix[:, MODEL_INPUT.index("context_age_hours")].astype(np.float64)


@pytest.fixture
def laddered(ranking: Any) -> Any:
    """Five tweets, a model with a light ranker, and room for two candidates at the heads."""
    ranking.models.current = Model(LightAgeModel(), "ranker@5")  # type: ignore[arg-type]
    limits = dataclasses.replace(ranking.feed.limits, ladder=LADDER)
    policy = msgspec.structs.replace(default_policy(), budgets=BUDGETS)
    ranking.feed = dataclasses.replace(
        ranking.feed, limits=limits, policy=policy, load=Load(1), heads_clock=HeadsClock()
    )
    return ranking


def test_each_ranking_more_under_way_lowers_the_rung_until_none_is_left() -> None:
    assert [LADDER.rung(under_way, 0.0) for under_way in range(4)] == ["full", "reduced", "light", None]


def test_the_longer_a_request_has_waited_the_lower_its_rung() -> None:
    assert [LADDER.rung(0, waited) for waited in (0.2, 0.3, 0.5, 0.7)] == ["full", "reduced", "light", None]
    assert LADDER.rung(2, 0.3) == "light"


def test_the_policy_says_what_each_rung_costs() -> None:
    rungs = [budget(rung, BUDGETS) for rung in RUNGS]
    assert rungs == [Budget(5, 2), Budget(3, 2), Budget(3, 0)]


def test_the_light_ranker_prunes_what_the_heads_have_no_time_for(laddered: Any) -> None:
    answer = laddered.page("ranked", limit=5)
    assert ids(answer) == [40, 50]
    assert (answer.rung, answer.reason) == ("full", None)
    assert answer.removed["pruned_by_light_ranker"] == 3


def test_under_load_fewer_candidates_are_ranked_and_the_answer_says_so(laddered: Any) -> None:
    laddered.feed.load.under_way = 1
    answer = laddered.page("ranked", limit=5)
    assert (answer.rung, answer.reason) == ("reduced", "overload")
    assert answer.removed["beyond_candidate_limit"] == 2


def test_under_more_load_the_light_ranker_orders_alone(laddered: Any) -> None:
    laddered.feed.load.under_way = 2
    answer = laddered.page("ranked", limit=5)
    assert ids(answer) == [50, 40, 30]
    assert (answer.rung, answer.reason) == ("light", "overload")


def test_beyond_that_the_feed_is_chronological(laddered: Any) -> None:
    laddered.feed.load.under_way = 3
    answer = laddered.page("ranked", limit=5)
    assert (answer.rung, answer.reason) == ("chronological", "overload")


def test_heads_that_would_end_too_late_leave_the_order_to_the_light_ranker(laddered: Any) -> None:
    laddered.feed.heads_clock.learn(1, 3600.0)
    answer = laddered.page("ranked", limit=5)
    assert ids(answer) == [50, 40]
    assert (answer.rung, answer.reason) == ("light", "deadline")
    assert [report.error for report in answer.reports if report.name == "heads"] == [
        "NoTimeForHeadsError: The heads take too long for 2 candidates."
    ]


def test_the_load_is_what_is_under_way(laddered: Any) -> None:
    laddered.page("ranked")
    assert laddered.feed.load.under_way == 0


def test_pages_are_made_a_few_at_a_time_in_the_order_they_were_asked_for() -> None:
    async def run() -> tuple[list[str], list[str]]:
        load, done, begun = Load(2), asyncio.Event(), list[str]()

        async def page(name: str) -> None:
            async with load.turn():
                begun.append(name)
                await done.wait()

        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(page(name))
            while load.under_way < 4:
                await asyncio.sleep(0)
            first = list(begun)
            done.set()
        return first, begun

    assert asyncio.run(run()) == (["a", "b"], ["a", "b", "c", "d"])


def test_those_that_wait_lower_the_rung_of_the_one_whose_turn_it_is() -> None:
    async def run() -> list[int]:
        load, others = Load(1), list[int]()

        async def page() -> None:
            async with load.turn() as under_way:
                others.append(under_way)
                await asyncio.sleep(0)

        await asyncio.gather(*(page() for _ in range(4)))
        return others

    assert asyncio.run(run()) == [0, 2, 1, 0]


def test_one_that_leaves_while_it_waits_frees_its_place() -> None:
    async def run() -> int:
        load, done = Load(1), asyncio.Event()

        async def page() -> None:
            async with load.turn():
                await done.wait()

        first, second = asyncio.create_task(page()), asyncio.create_task(page())
        while load.under_way < 2:
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        left = load.under_way
        done.set()
        await first
        return left

    assert asyncio.run(run()) == 1


def test_what_the_heads_take_is_learnt_from_what_they_took() -> None:
    clock = HeadsClock()
    assert clock.expected(100) == 0
    clock.learn(100, 1.0)
    assert clock.expected(50) == pytest.approx(0.5)
    for _ in range(100):
        clock.learn(100, 2.0)
    assert clock.expected(50) == pytest.approx(1.0, rel=0.01)


def test_few_candidates_do_not_make_many_look_impossible() -> None:
    clock = HeadsClock()
    clock.learn(1, 0.002)
    assert clock.expected(150) < 0.01


def test_what_is_refused_is_tried_again_some_day() -> None:
    clock = HeadsClock()
    clock.learn(150, 1.0)
    tried = next(attempt for attempt in range(1000) if clock.fits(150, 0.15))
    assert 10 < tried < 200


def test_heads_that_overrun_the_deadline_leave_the_order_to_the_light_ranker(laddered: Any) -> None:
    class SlowModel(LightAgeModel):
        def score(self, matrix: Any) -> Any:
            time.sleep(1.5)
            return super().score(matrix)

    laddered.models.current = Model(SlowModel(), "ranker@6")  # type: ignore[arg-type]
    clock = dataclasses.replace(laddered.feed.clock, seconds=time.perf_counter)
    limits = dataclasses.replace(laddered.feed.limits, deadline_seconds=0.8)
    runner = Runner(time.perf_counter, OPERATIONAL)
    laddered.feed = dataclasses.replace(laddered.feed, limits=limits, clock=clock, runner=runner)
    answer = laddered.page("ranked", limit=5)
    assert (answer.rung, answer.reason) == ("light", "deadline")
    assert laddered.feed.heads_clock.expected(50) > 0.5
