"""Runs a pipeline: the order of the stages, the deadline, concurrency, error policy, timing and counts.

The whole order is :meth:`Runner.run`. Errors of the given ``operational`` types are what a stage may
fail with; any other exception is a programmer's error and propagates from wherever it happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from serving.pipeline.reports import (
    DeadlineExceededError,
    Kind,
    Run,
    StageContractError,
    StageFailedError,
    StageReport,
)
from serving.pipeline.stages import (
    Filter,
    Hydrator,
    Pipeline,
    Selection,
    SideEffect,
    Together,
)

Q = TypeVar("Q")
C = TypeVar("C")

logger = logging.getLogger(__name__)


class Runner:
    """``clock`` gives seconds that only grow (``time.perf_counter``); deadlines are on the same clock."""

    def __init__(
        self,
        clock: Callable[[], float],
        operational: tuple[type[Exception], ...],
        on_side_effect_error: Callable[[str, Exception], None] = lambda name, error: None,
    ) -> None:
        self.clock = clock
        self._operational = operational
        self._on_side_effect_error = on_side_effect_error
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, pipeline: Pipeline[Q, C], query: Q, deadline: float | None = None) -> Run[Q, C]:
        """One run from query to page; side effects are started and not awaited.

        Raises:
            DeadlineExceededError: the deadline passed while there was work left.
            StageFailedError: every source, every scorer, a filter or a required hydrator failed.
            StageContractError: a stage returned the wrong number of values.
        """
        run = _Progress(self, deadline)
        for query_hydrator in pipeline.query_hydrators:
            query = await run.hydrate_query(query_hydrator, query)
        candidates = await run.fetch(pipeline, query)
        fetched = len(candidates)
        for step in pipeline.steps:
            candidates = await run.step(step, query, candidates)
        candidates = await run.score(pipeline, query, candidates)
        selection = run.select(pipeline, query, candidates)
        page: list[C] = list(selection.selected)
        for phase in pipeline.page_steps:
            page = await run.step(phase, query, page)
        self.start_side_effects(pipeline.side_effects, query, Selection(page, selection.rest))
        return Run(query, page, selection.rest, fetched, tuple(run.reports))

    def start_side_effects(
        self, effects: Sequence[SideEffect[Q, C]], query: Q, selection: Selection[C]
    ) -> None:
        for effect in effects:
            task = asyncio.get_running_loop().create_task(self._side_effect(effect, query, selection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Waits for the side effects that are still running."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _side_effect(self, effect: SideEffect[Q, C], query: Q, selection: Selection[C]) -> None:
        try:
            await effect.run(query, selection)
        except Exception as error:
            logger.warning("Side effect %s failed: %s", effect.name, error)
            self._on_side_effect_error(effect.name, error)


class _Progress:
    """One run under way: its reports so far and its deadline."""

    def __init__(self, runner: Runner, deadline: float | None) -> None:
        self.reports: list[StageReport] = []
        self._clock = runner.clock
        self._operational = runner._operational
        self._deadline = deadline

    async def hydrate_query(self, stage: Any, query: Q) -> Q:
        patched = await self._attempt("query_hydrator", stage.name, stage.hydrate(query), 1, lambda _: 1)
        if isinstance(patched, _Failure):
            if stage.required:
                raise StageFailedError(stage.name, patched.error, self.reports) from patched.error
            return query
        hydrated: Q = patched
        return hydrated

    async def fetch(self, pipeline: Pipeline[Q, C], query: Q) -> list[C]:
        """All sources at once; fails only if every one of them failed."""
        answers = await asyncio.gather(
            *(self._attempt("source", s.name, s.fetch(query), 0, len) for s in pipeline.sources)
        )
        failures = [answer for answer in answers if isinstance(answer, _Failure)]
        if failures and len(failures) == len(answers):
            raise StageFailedError(pipeline.sources[0].name, failures[0].error, self.reports) from failures[
                0
            ].error
        return [c for answer in answers if not isinstance(answer, _Failure) for c in answer]

    async def step(self, step: Filter[Q, C] | Together[Q, C], query: Q, candidates: list[C]) -> list[C]:
        if isinstance(step, Together):
            return await self._hydrate_together(step.hydrators, query, candidates)
        return self._filter(step, query, candidates)

    async def score(self, pipeline: Pipeline[Q, C], query: Q, candidates: list[C]) -> list[C]:
        """The first scorer that answers; later ones are fallbacks."""
        failure: _Failure | None = None
        for scorer in pipeline.scorers:
            n = len(candidates)
            values = await self._attempt("scorer", scorer.name, scorer.score(query, candidates), n, len)
            if not isinstance(values, _Failure):
                _same_length(scorer.name, n, values)
                return [scorer.apply(c, value) for c, value in zip(candidates, values, strict=True)]
            failure = values
        if failure is not None:
            raise StageFailedError(pipeline.scorers[-1].name, failure.error, self.reports) from failure.error
        return candidates

    def select(self, pipeline: Pipeline[Q, C], query: Q, candidates: list[C]) -> Selection[C]:
        started = self._clock()
        selection = pipeline.selector.select(query, candidates)
        if len(selection.selected) + len(selection.rest) != len(candidates):
            raise StageContractError(f"Selector {pipeline.selector.name} lost or invented candidates.")
        self._report("selector", pipeline.selector.name, len(candidates), len(selection.selected), started)
        return selection

    def _filter(self, stage: Filter[Q, C], query: Q, candidates: list[C]) -> list[C]:
        self._check_time(stage.name)
        started = self._clock()
        try:
            parts = stage.split(query, candidates)
        except self._operational as error:
            self._report("filter", stage.name, len(candidates), 0, started, error)
            raise StageFailedError(stage.name, error, self.reports) from error
        if len(parts.kept) + len(parts.removed) != len(candidates):
            raise StageContractError(f"Filter {stage.name} lost or invented candidates.")
        self._report("filter", stage.name, len(candidates), len(parts.kept), started)
        return list(parts.kept)

    async def _hydrate_together(
        self, hydrators: Sequence[Hydrator[Q, C, Any]], query: Q, candidates: list[C]
    ) -> list[C]:
        n = len(candidates)
        if n == 0:
            return candidates
        answers = await asyncio.gather(
            *(self._attempt("hydrator", h.name, h.hydrate(query, candidates), n, len) for h in hydrators)
        )
        for hydrator, patches in zip(hydrators, answers, strict=True):
            if isinstance(patches, _Failure):
                if hydrator.required:
                    raise StageFailedError(hydrator.name, patches.error, self.reports) from patches.error
                continue
            _same_length(hydrator.name, n, patches)
            candidates = [hydrator.apply(c, p) for c, p in zip(candidates, patches, strict=True)]
        return candidates

    async def _attempt(
        self, kind: Kind, name: str, work: Awaitable[Any], entered: int, left: Callable[[Any], int]
    ) -> Any:
        """The stage's answer, or its :class:`_Failure`; reported either way."""
        started = self._clock()
        timeout = None if self._deadline is None else self._deadline - started
        try:
            async with asyncio.timeout(timeout) as limit:
                answer = await work
        except TimeoutError as error:
            self._report(kind, name, entered, 0, started, error)
            if limit.expired():
                raise DeadlineExceededError(name, self.reports) from error
            if not isinstance(error, self._operational):
                raise
            return _Failure(error)
        except self._operational as error:
            self._report(kind, name, entered, 0, started, error)
            return _Failure(error)
        self._report(kind, name, entered, left(answer), started)
        return answer

    def _check_time(self, stage: str) -> None:
        if self._deadline is not None and self._clock() >= self._deadline:
            raise DeadlineExceededError(stage, self.reports)

    def _report(
        self, kind: Kind, name: str, entered: int, left: int, started: float, error: Exception | None = None
    ) -> None:
        sentence = None if error is None else f"{type(error).__name__}: {error}"
        ms = (self._clock() - started) * 1000
        self.reports.append(StageReport(kind, name, entered, left, ms, sentence))


class _Failure:
    """An operational error of a stage, as a value."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _same_length(name: str, expected: int, answers: Sequence[object]) -> None:
    if len(answers) != expected:
        raise StageContractError(f"Stage {name} gave {len(answers)} values for {expected} candidates.")
