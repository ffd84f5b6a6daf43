"""The generic candidate pipeline, over tiny fake stages whose candidates are a table of one column."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from serving.pipeline.reports import DeadlineExceededError, Run, StageContractError, StageFailedError
from serving.pipeline.runner import Runner
from serving.pipeline.selection import best_first
from serving.pipeline.stages import Columns, Mask, Order, Pipeline, Rows, Selection, Together


class BrokenError(RuntimeError):
    """The operational error of these tests."""


class Clock:
    """Seconds that advance only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Numbers:
    """Candidates that are a number each."""

    number: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, *numbers: int) -> Numbers:
        return cls(np.array(numbers, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: Rows) -> Numbers:
        return Numbers(self.number[rows])

    def with_columns(self, columns: Columns) -> Numbers:
        return Numbers(self.number + columns["add"])


def joined(tables: Sequence[Numbers]) -> Numbers:
    return Numbers(np.concatenate([table.number for table in tables]))


@dataclass(frozen=True)
class Asked:
    """A query that hydrators complete."""

    one: int = 0
    two: int = 0


@dataclass(frozen=True)
class Complete:
    patch: Mapping[str, int] | Exception
    required: bool = False
    name: str = "complete"

    async def hydrate(self, query: Asked) -> Mapping[str, Any]:
        if isinstance(self.patch, Exception):
            raise self.patch
        return self.patch


@dataclass(frozen=True)
class Fetch:
    answer: Sequence[int] | Exception
    name: str = "fetch"

    async def fetch(self, query: Asked) -> Numbers:
        if isinstance(self.answer, Exception):
            raise self.answer
        return Numbers.of(*self.answer)


@dataclass(frozen=True)
class Odd:
    name: str = "odd"

    def keep(self, query: Asked, candidates: Numbers) -> Mask:
        return np.asarray(candidates.number % 2 == 0)


@dataclass(frozen=True)
class Lossy:
    name: str = "lossy"

    def keep(self, query: Asked, candidates: Numbers) -> Mask:
        return np.ones(0, dtype=np.bool_)


@dataclass(frozen=True)
class Add:
    """Adds what ``patches`` makes of the candidates."""

    patches: Callable[[Sequence[int]], Sequence[int]]
    required: bool = False
    name: str = "add"

    async def hydrate(self, query: Asked, candidates: Numbers) -> Columns:
        return self.adjust(query, candidates)

    async def score(self, query: Asked, candidates: Numbers) -> Columns:
        return self.adjust(query, candidates)

    def adjust(self, query: Asked, candidates: Numbers) -> Columns:
        return {"add": np.array(self.patches(candidates.number.tolist()), dtype=np.int64)}


@dataclass(frozen=True)
class First:
    page: int = 100
    name: str = "first"

    def select(self, query: Asked, candidates: Numbers) -> Order:
        return Order(np.arange(len(candidates)), self.page)


@dataclass(frozen=True)
class Forgetful:
    name: str = "forgetful"

    def select(self, query: Asked, candidates: Numbers) -> Order:
        return Order(np.zeros(len(candidates), dtype=np.intp), 1)


@dataclass(frozen=True)
class Keep:
    error: Exception | None = None
    kept: list[list[int]] = field(default_factory=list)
    name: str = "keep"

    async def keep(self, query: Asked, selection: Selection[Numbers]) -> None:
        if self.error:
            raise self.error
        self.kept.append([*selection.selected.number.tolist(), *selection.rest.number.tolist()])


@dataclass(frozen=True)
class Blocked:
    """A side effect that waits for its event, or fails."""

    release: asyncio.Event
    error: Exception | None = None
    seen: list[list[int]] = field(default_factory=list)
    name: str = "blocked"

    async def run(self, query: Asked, selection: Selection[Numbers]) -> None:
        await self.release.wait()
        if self.error:
            raise self.error
        self.seen.append(selection.selected.number.tolist())


def broken(candidates: Sequence[int]) -> Sequence[int]:
    raise BrokenError("down")


def runner(clock: Callable[[], float] | None = None, **options: Any) -> Runner:
    return Runner(clock or Clock(), (BrokenError,), **options)


def pipeline(sources: Sequence[Fetch], selector: Any = None, **stages: Any) -> Pipeline[Asked, Numbers]:
    return Pipeline("numbers", joined, tuple(sources), selector or First(), **stages)


def run(composed: Pipeline[Asked, Numbers], **options: Any) -> Run[Asked, Numbers]:
    return asyncio.run(runner().run(composed, Asked(), **options))


def numbers(table: Numbers) -> list[int]:
    found: list[int] = table.number.tolist()
    return found


def test_stages_run_in_the_declared_order_and_report_what_went_in_and_out() -> None:
    keeper = Keep()
    result = run(
        pipeline(
            [Fetch([1, 2, 3, 4])],
            First(1),
            query_hydrators=(Complete({"one": 1}),),
            steps=(Odd(), Together((Add(lambda cs: [10] * len(cs)),))),
            scorers=(Add(lambda cs: [100] * len(cs), name="score"),),
            adjustments=(Add(lambda cs: [1000] * len(cs), name="rule"),),
            keepers=(keeper,),
            page_steps=(Together((Add(lambda cs: [10000] * len(cs), name="complete page"),)),),
        )
    )
    assert numbers(result.selected) == [11112]
    assert numbers(result.rest) == [1114]
    assert keeper.kept == [[1112, 1114]]
    assert sorted((r.kind, r.name, r.entered, r.left) for r in result.reports[-2:]) == [
        ("hydrator", "complete page", 1, 1),
        ("keeper", "keep", 2, 2),
    ]
    assert [(r.kind, r.name, r.entered, r.left) for r in result.reports[:-2]] == [
        ("query_hydrator", "complete", 1, 1),
        ("source", "fetch", 0, 4),
        ("filter", "odd", 4, 2),
        ("hydrator", "add", 2, 2),
        ("scorer", "score", 2, 2),
        ("adjustment", "rule", 2, 2),
        ("selector", "first", 2, 1),
    ]
    assert result.removed == {"odd": 2}
    assert result.scorer == "score"


def test_who_asks_is_told_what_each_filter_removed() -> None:
    removed: dict[str, list[int]] = {}
    run(
        pipeline([Fetch([1, 2, 3])], steps=(Odd(),)),
        on_removed=lambda name, table: removed.update({name: numbers(table)}),
    )
    assert removed == {"odd": [1, 3]}


def test_query_hydrators_complete_the_query_together() -> None:
    result = run(pipeline([Fetch([])], query_hydrators=(Complete({"one": 1}), Complete({"two": 2}))))
    assert result.query == Asked(1, 2)


def test_a_failed_query_hydrator_is_skipped_unless_it_is_required() -> None:
    failing = Complete(BrokenError("down"))
    result = run(pipeline([Fetch([5])], query_hydrators=(failing, Complete({"two": 2}))))
    assert result.query == Asked(0, 2)
    with pytest.raises(StageFailedError, match="complete"):
        run(pipeline([Fetch([5])], query_hydrators=(Complete(BrokenError("down"), required=True),)))


def test_a_failed_keeper_fails_the_run() -> None:
    with pytest.raises(StageFailedError, match="keep"):
        run(pipeline([Fetch([5])], keepers=(Keep(BrokenError("down")),)))


def test_the_tables_of_all_sources_are_joined() -> None:
    assert numbers(run(pipeline([Fetch([1, 2]), Fetch([3])])).selected) == [1, 2, 3]


def test_a_failed_source_is_reported_and_skipped_while_another_answers() -> None:
    result = run(pipeline([Fetch(BrokenError("down"), "bad"), Fetch([5])]))
    assert numbers(result.selected) == [5]
    assert [r.error for r in result.reports if r.name == "bad"] == ["BrokenError: down"]


def test_the_run_fails_when_every_source_failed() -> None:
    with pytest.raises(StageFailedError) as failure:
        run(pipeline([Fetch(BrokenError("down"))]))
    assert isinstance(failure.value.cause, BrokenError)


def test_an_error_that_is_not_operational_is_never_skipped() -> None:
    with pytest.raises(KeyError):
        run(pipeline([Fetch(KeyError("typo")), Fetch([5])]))


@pytest.mark.parametrize("surplus", [-1, 1])
def test_a_hydrator_that_returns_the_wrong_number_of_patches_raises(surplus: int) -> None:
    wrong = Add(lambda cs: [0] * (len(cs) + surplus))
    with pytest.raises(StageContractError):
        run(pipeline([Fetch([1, 2])], steps=(Together((wrong,)),)))


def test_a_scorer_that_returns_the_wrong_number_of_scores_raises_even_with_a_fallback() -> None:
    wrong = Add(lambda cs: [0])
    right = Add(lambda cs: [0] * len(cs))
    with pytest.raises(StageContractError):
        run(pipeline([Fetch([1, 2])], scorers=(wrong, right)))


def test_a_filter_that_loses_candidates_raises() -> None:
    with pytest.raises(StageContractError):
        run(pipeline([Fetch([1, 2])], steps=(Lossy(),)))


def test_a_failed_optional_hydrator_leaves_candidates_as_they_were() -> None:
    result = run(pipeline([Fetch([1])], steps=(Together((Add(broken),)),)))
    assert numbers(result.selected) == [1]
    assert result.reports[1].error == "BrokenError: down"


def test_a_failed_required_hydrator_fails_the_run() -> None:
    with pytest.raises(StageFailedError, match="add"):
        run(pipeline([Fetch([1])], steps=(Together((Add(broken, required=True),)),)))


def test_the_next_scorer_takes_over_from_a_failed_one() -> None:
    fallback = Add(lambda cs: [7] * len(cs), name="fallback")
    result = run(pipeline([Fetch([1])], scorers=(Add(broken), fallback)))
    assert numbers(result.selected) == [8]


def test_hydrators_of_one_phase_do_not_see_each_others_patches() -> None:
    seen: list[list[int]] = []

    def watch(candidates: Sequence[int]) -> Sequence[int]:
        seen.append(list(candidates))
        return [1] * len(candidates)

    result = run(pipeline([Fetch([5])], steps=(Together((Add(watch), Add(watch))),)))
    assert seen == [[5], [5]]
    assert numbers(result.selected) == [7]


def test_a_passed_deadline_stops_the_run_before_the_next_stage_and_names_it() -> None:
    clock = Clock()

    def slow(candidates: Sequence[int]) -> Sequence[int]:
        clock.now = 2.0
        return [0] * len(candidates)

    composed = pipeline([Fetch([1])], steps=(Together((Add(slow),)), Odd()))
    with pytest.raises(DeadlineExceededError) as late:
        asyncio.run(runner(clock).run(composed, Asked(), deadline=1.0))
    assert late.value.stage == "odd"


def test_a_stage_that_waits_past_the_deadline_is_cancelled() -> None:
    @dataclass(frozen=True)
    class Forever:
        name: str = "forever"

        async def fetch(self, query: Asked) -> Numbers:
            await asyncio.Event().wait()
            return []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        await runner(loop.time).run(pipeline([Forever()]), Asked(), deadline=loop.time() + 0.01)

    with pytest.raises(DeadlineExceededError, match="forever"):
        asyncio.run(scenario())


def test_a_good_answer_that_comes_late_in_the_last_stage_is_used() -> None:
    clock = Clock()

    def slow(candidates: Sequence[int]) -> Sequence[int]:
        clock.now = 2.0
        return [1] * len(candidates)

    composed = pipeline([Fetch([1])], scorers=(Add(slow),))
    assert numbers(asyncio.run(runner(clock).run(composed, Asked(), deadline=1.0)).selected) == [2]


def test_side_effects_never_delay_the_response() -> None:
    async def scenario() -> None:
        effect = Blocked(asyncio.Event())
        running = runner()
        result = await running.run(pipeline([Fetch([1])], side_effects=(effect,)), Asked())
        assert numbers(result.selected) == [1]
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
        await running.run(pipeline([Fetch([1])], side_effects=(effect,)), Asked())
        await running.drain()
        return failed

    assert asyncio.run(scenario()) == ["blocked"]


def test_a_selector_that_loses_candidates_raises() -> None:
    with pytest.raises(StageContractError):
        run(pipeline([Fetch([1, 2])], Forgetful()))


def test_completing_the_page_is_not_bound_by_the_deadline() -> None:
    clock = Clock()

    def late(candidates: Sequence[int]) -> Sequence[int]:
        clock.now = 2.0
        return [1] * len(candidates)

    composed = pipeline([Fetch([1])], scorers=(Add(late),), page_steps=(Together((Add(lambda cs: [1]),)),))
    assert numbers(asyncio.run(runner(clock).run(composed, Asked(), deadline=1.0)).selected) == [3]


def test_unscored_candidates_come_last_and_equal_scores_are_ordered_by_id() -> None:
    scores = {1: 0.5, 2: math.nan, 3: 0.5, 4: -1.0, 5: math.nan}
    for order in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]):
        ids = np.array(order)
        assert ids[best_first(np.array([scores[c] for c in order]), ids)].tolist() == [3, 1, 4, 5, 2]
