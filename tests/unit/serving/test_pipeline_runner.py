"""The generic candidate pipeline, over tiny fake stages whose candidates are integers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.pipeline.reports import DeadlineExceededError, Run, StageContractError, StageFailedError
from serving.pipeline.runner import Runner
from serving.pipeline.selection import order_by_score
from serving.pipeline.stages import Partition, Pipeline, Selection, Together


class BrokenError(RuntimeError):
    """The operational error of these tests."""


class Clock:
    """Seconds that advance only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Fetch:
    answer: Sequence[int] | Exception
    name: str = "fetch"

    async def fetch(self, query: int) -> Sequence[int]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass(frozen=True)
class Odd:
    name: str = "odd"

    def split(self, query: int, candidates: Sequence[int]) -> Partition[int]:
        return Partition([c for c in candidates if c % 2 == 0], [c for c in candidates if c % 2])


@dataclass(frozen=True)
class Lossy:
    name: str = "lossy"

    def split(self, query: int, candidates: Sequence[int]) -> Partition[int]:
        return Partition([], [])


@dataclass(frozen=True)
class Add:
    """Adds what ``patches`` makes of the candidates."""

    patches: Callable[[Sequence[int]], Sequence[int]]
    required: bool = False
    name: str = "add"

    async def hydrate(self, query: int, candidates: Sequence[int]) -> Sequence[int]:
        return self.patches(candidates)

    def apply(self, candidate: int, patch: int) -> int:
        return candidate + patch

    async def score(self, query: int, candidates: Sequence[int]) -> Sequence[int]:
        return self.patches(candidates)


@dataclass(frozen=True)
class First:
    keep: int = 100
    name: str = "first"

    def select(self, query: int, candidates: Sequence[int]) -> Selection[int]:
        return Selection(candidates[: self.keep], candidates[self.keep :])


@dataclass(frozen=True)
class Blocked:
    """A side effect that waits for its event, or fails."""

    release: asyncio.Event
    error: Exception | None = None
    seen: list[list[int]] = field(default_factory=list)
    name: str = "blocked"

    async def run(self, query: int, selection: Selection[int]) -> None:
        await self.release.wait()
        if self.error:
            raise self.error
        self.seen.append(list(selection.selected))


def broken(candidates: Sequence[int]) -> Sequence[int]:
    raise BrokenError("down")


def runner(clock: Callable[[], float] | None = None, **options: Any) -> Runner:
    return Runner(clock or Clock(), (BrokenError,), **options)


def run(pipeline: Pipeline[int, int], **options: Any) -> Run[int, int]:
    return asyncio.run(runner().run(pipeline, 0, **options))


def test_stages_run_in_the_declared_order_and_report_what_went_in_and_out() -> None:
    pipeline = Pipeline(
        "numbers",
        (Fetch([1, 2, 3, 4]),),
        First(1),
        steps=(Odd(), Together((Add(lambda cs: [10] * len(cs)),))),
        scorers=(Add(lambda cs: [100] * len(cs), name="score"),),
    )
    result = run(pipeline)
    assert list(result.selected) == [112]
    assert list(result.rest) == [114]
    assert [(r.kind, r.name, r.entered, r.left) for r in result.reports] == [
        ("source", "fetch", 0, 4),
        ("filter", "odd", 4, 2),
        ("hydrator", "add", 2, 2),
        ("scorer", "score", 2, 2),
        ("selector", "first", 2, 1),
    ]
    assert result.removed == {"odd": 2}


def test_a_failed_source_is_reported_and_skipped_while_another_answers() -> None:
    result = run(Pipeline("two", (Fetch(BrokenError("down"), "bad"), Fetch([5])), First()))
    assert list(result.selected) == [5]
    assert [r.error for r in result.reports if r.name == "bad"] == ["BrokenError: down"]


def test_the_run_fails_when_every_source_failed() -> None:
    with pytest.raises(StageFailedError) as failure:
        run(Pipeline("none", (Fetch(BrokenError("down")),), First()))
    assert isinstance(failure.value.cause, BrokenError)


def test_an_error_that_is_not_operational_is_never_skipped() -> None:
    with pytest.raises(KeyError):
        run(Pipeline("bug", (Fetch(KeyError("typo")), Fetch([5])), First()))


@pytest.mark.parametrize("surplus", [-1, 1])
def test_a_hydrator_that_returns_the_wrong_number_of_patches_raises(surplus: int) -> None:
    wrong = Add(lambda cs: [0] * (len(cs) + surplus))
    with pytest.raises(StageContractError):
        run(Pipeline("wrong", (Fetch([1, 2]),), First(), steps=(Together((wrong,)),)))


def test_a_scorer_that_returns_the_wrong_number_of_scores_raises_even_with_a_fallback() -> None:
    wrong = Add(lambda cs: [0])
    right = Add(lambda cs: [0] * len(cs))
    with pytest.raises(StageContractError):
        run(Pipeline("wrong", (Fetch([1, 2]),), First(), scorers=(wrong, right)))


def test_a_filter_that_loses_candidates_raises() -> None:
    with pytest.raises(StageContractError):
        run(Pipeline("lossy", (Fetch([1, 2]),), First(), steps=(Lossy(),)))


def test_a_failed_optional_hydrator_leaves_candidates_as_they_were() -> None:
    result = run(Pipeline("soft", (Fetch([1]),), First(), steps=(Together((Add(broken),)),)))
    assert list(result.selected) == [1]
    assert result.reports[1].error == "BrokenError: down"


def test_a_failed_required_hydrator_fails_the_run() -> None:
    with pytest.raises(StageFailedError, match="add"):
        run(Pipeline("hard", (Fetch([1]),), First(), steps=(Together((Add(broken, required=True),)),)))


def test_the_next_scorer_takes_over_from_a_failed_one() -> None:
    fallback = Add(lambda cs: [7] * len(cs), name="fallback")
    result = run(Pipeline("ladder", (Fetch([1]),), First(), scorers=(Add(broken), fallback)))
    assert list(result.selected) == [8]


def test_hydrators_of_one_phase_do_not_see_each_others_patches() -> None:
    seen: list[list[int]] = []

    def watch(candidates: Sequence[int]) -> Sequence[int]:
        seen.append(list(candidates))
        return [1] * len(candidates)

    result = run(Pipeline("phase", (Fetch([5]),), First(), steps=(Together((Add(watch), Add(watch))),)))
    assert seen == [[5], [5]]
    assert list(result.selected) == [7]


def test_a_passed_deadline_stops_the_run_before_the_next_stage_and_names_it() -> None:
    clock = Clock()

    def slow(candidates: Sequence[int]) -> Sequence[int]:
        clock.now = 2.0
        return [0] * len(candidates)

    pipeline = Pipeline("late", (Fetch([1]),), First(), steps=(Together((Add(slow),)), Odd()))
    with pytest.raises(DeadlineExceededError) as late:
        asyncio.run(runner(clock).run(pipeline, 0, deadline=1.0))
    assert late.value.stage == "odd"


def test_a_stage_that_waits_past_the_deadline_is_cancelled() -> None:
    @dataclass(frozen=True)
    class Forever:
        name: str = "forever"

        async def fetch(self, query: int) -> Sequence[int]:
            await asyncio.Event().wait()
            return []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        await runner(loop.time).run(Pipeline("hang", (Forever(),), First()), 0, deadline=loop.time() + 0.01)

    with pytest.raises(DeadlineExceededError, match="forever"):
        asyncio.run(scenario())


def test_a_good_answer_that_comes_late_in_the_last_stage_is_used() -> None:
    clock = Clock()

    def slow(candidates: Sequence[int]) -> Sequence[int]:
        clock.now = 2.0
        return [1] * len(candidates)

    pipeline = Pipeline("late", (Fetch([1]),), First(), scorers=(Add(slow),))
    assert list(asyncio.run(runner(clock).run(pipeline, 0, deadline=1.0)).selected) == [2]


def test_side_effects_never_delay_the_response() -> None:
    async def scenario() -> None:
        effect = Blocked(asyncio.Event())
        running = runner()
        result = await running.run(Pipeline("after", (Fetch([1]),), First(), side_effects=(effect,)), 0)
        assert list(result.selected) == [1]
        assert effect.seen == []
        effect.release.set()
        await running.drain()
        assert effect.seen == [[1]]

    asyncio.run(scenario())


def test_a_failed_side_effect_is_counted_and_reaches_nobody() -> None:
    async def scenario() -> list[str]:
        failed: list[str] = []
        running = runner(on_side_effect_error=lambda name, error: failed.append(name))
        effect = Blocked(asyncio.Event(), error=RuntimeError("full"))
        effect.release.set()
        await running.run(Pipeline("after", (Fetch([1]),), First(), side_effects=(effect,)), 0)
        await running.drain()
        return failed

    assert asyncio.run(scenario()) == ["blocked"]


def test_unscored_candidates_come_last_and_equal_scores_are_ordered_by_id() -> None:
    scores = {1: 0.5, 2: math.nan, 3: 0.5, 4: -1.0, 5: math.nan}
    for order in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]):
        assert order_by_score(order, scores.__getitem__, lambda c: c) == [3, 1, 4, 5, 2]
