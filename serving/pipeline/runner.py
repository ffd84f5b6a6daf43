"""Runs a pipeline: the order of the stages, the deadline, concurrency, error policy, timing and counts.

The whole order is :meth:`Runner.run`. Errors of the given ``operational`` types are what a stage may
fail with; any other exception is a programmer's error and propagates from wherever it happens.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic

import numpy as np

from serving.pipeline.reports import (
    DeadlineExceededError,
    Kind,
    Run,
    StageContractError,
    StageFailedError,
    StageReport,
)
from serving.pipeline.stages import (
    Adjustment,
    Columns,
    Filter,
    Hydrator,
    Pipeline,
    Q,
    Selection,
    SideEffect,
    T,
    Together,
)

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
        self.operational = operational
        self._on_side_effect_error = on_side_effect_error
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(
        self,
        pipeline: Pipeline[Q, T],
        query: Q,
        deadline: float | None = None,
        on_removed: Callable[[str, T], None] | None = None,
    ) -> Run[Q, T]:
        """One run from query to page; side effects are started and not awaited.

        Args:
            on_removed: told the name of each filter that took candidates out, and which.

        Raises:
            DeadlineExceededError: the deadline passed while there was work left.
            StageFailedError: every source, every scorer, a filter or something required failed.
            StageContractError: a stage returned the wrong number of values.
        """
        run = _Progress(self, pipeline, deadline, on_removed)
        query = await run.hydrate_query(query)
        candidates = await run.fetch(query)
        fetched = len(candidates)
        for step in pipeline.steps:
            candidates = await run.step(step, query, candidates)
        candidates = await run.score(query, candidates)
        for adjustment in pipeline.adjustments:
            candidates = run.adjust(adjustment, query, candidates)
        selection = run.select(query, candidates)
        selection = await run.complete(query, selection)
        self.start_side_effects(pipeline.side_effects, query, selection)
        return Run(query, selection.selected, selection.rest, fetched, tuple(run.reports))

    def start_side_effects(
        self, effects: Sequence[SideEffect[Q, T]], query: Q, selection: Selection[T]
    ) -> None:
        for effect in effects:
            task = asyncio.get_running_loop().create_task(self._side_effect(effect, query, selection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Waits for the side effects that are still running."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _side_effect(self, effect: SideEffect[Q, T], query: Q, selection: Selection[T]) -> None:
        try:
            await effect.run(query, selection)
        except Exception as error:
            logger.warning("Side effect %s failed: %s", effect.name, error)
            self._on_side_effect_error(effect.name, error)


class _Progress(Generic[Q, T]):
    """One run under way: its reports so far and its deadline."""

    def __init__(
        self,
        runner: Runner,
        pipeline: Pipeline[Q, T],
        deadline: float | None,
        on_removed: Callable[[str, T], None] | None,
    ) -> None:
        self.reports: list[StageReport] = []
        self._pipeline = pipeline
        self._clock = runner.clock
        self._operational = runner.operational
        self._deadline = deadline
        self._on_removed = on_removed

    async def hydrate_query(self, query: Q) -> Q:
        """All at once; each patch is put on the query."""
        stages = self._pipeline.query_hydrators
        patches = await _all(
            [
                self._attempt("query_hydrator", s.name, partial(s.hydrate, query), 1, lambda _: 1)
                for s in stages
            ]
        )
        fields: dict[str, Any] = {}
        for stage, patch in zip(stages, patches, strict=True):
            if not isinstance(patch, _Failure):
                fields |= patch
            elif stage.required:
                raise StageFailedError(stage.name, patch.error, self.reports) from patch.error
        return dataclasses.replace(query, **fields) if fields else query  # type: ignore[type-var]

    async def fetch(self, query: Q) -> T:
        """All sources at once; fails only if every one of them failed."""
        sources = self._pipeline.sources
        answers = await _all(
            [self._attempt("source", s.name, partial(s.fetch, query), 0, len) for s in sources]
        )
        tables = [answer for answer in answers if not isinstance(answer, _Failure)]
        if not tables:
            error = answers[0].error
            raise StageFailedError(sources[0].name, error, self.reports) from error
        return tables[0] if len(tables) == 1 else self._pipeline.joined(tables)

    async def step(self, step: Filter[Q, T] | Together[Q, T], query: Q, candidates: T) -> T:
        if isinstance(step, Together):
            return await self._hydrate_together(step.hydrators, query, candidates)
        return self._filter(step, query, candidates)

    async def score(self, query: Q, candidates: T) -> T:
        """The first scorer that answers; later ones are fallbacks. Without candidates none is asked."""
        failure: _Failure | None = None
        n = len(candidates)
        if n == 0:
            return candidates
        for scorer in self._pipeline.scorers:
            attempt = partial(scorer.score, query, candidates)
            try:
                columns = await self._attempt("scorer", scorer.name, attempt, n, lambda _: n)
            except DeadlineExceededError as late:
                if scorer is self._pipeline.scorers[-1]:
                    raise
                # Others may answer at once, from what is known already: better than nothing.
                self._deadline, failure = None, _Failure(late)
                continue
            if not isinstance(columns, _Failure):
                return _patched(scorer.name, candidates, columns)
            failure = columns
        if failure is not None:
            name = self._pipeline.scorers[-1].name
            raise StageFailedError(name, failure.error, self.reports) from failure.error
        return candidates

    def adjust(self, stage: Adjustment[Q, T], query: Q, candidates: T) -> T:
        started, n = self._clock(), len(candidates)
        try:
            columns = stage.adjust(query, candidates)
        except self._operational as error:
            self._report("adjustment", stage.name, n, 0, started, error)
            raise StageFailedError(stage.name, error, self.reports) from error
        self._report("adjustment", stage.name, n, n, started)
        return _patched(stage.name, candidates, columns)

    def select(self, query: Q, candidates: T) -> Selection[T]:
        started, n = self._clock(), len(candidates)
        selector = self._pipeline.selector
        order = selector.select(query, candidates)
        if len(order.rows) != n or (n and not np.all(np.bincount(order.rows, minlength=n) == 1)):
            raise StageContractError(f"Selector {selector.name} lost or invented candidates.")
        candidates = _patched(selector.name, candidates, order.columns)
        self._report("selector", selector.name, n, min(order.page, n), started)
        return Selection(candidates.take(order.rows[: order.page]), candidates.take(order.rows[order.page :]))

    async def complete(self, query: Q, selection: Selection[T]) -> Selection[T]:
        """Looks up what the page shows, and keeps the ordering meanwhile; the deadline bounds neither."""
        self._deadline = None
        page, *kept = await _all(
            [
                self._page(query, selection.selected),
                *(self._keep(k, query, selection) for k in self._pipeline.keepers),
            ]
        )
        for keeper, failure in zip(self._pipeline.keepers, kept, strict=True):
            if isinstance(failure, _Failure):
                raise StageFailedError(keeper.name, failure.error, self.reports) from failure.error
        return Selection(page, selection.rest)

    async def _page(self, query: Q, page: T) -> T:
        for phase in self._pipeline.page_steps:
            page = await self.step(phase, query, page)
        return page

    async def _keep(self, keeper: Any, query: Q, selection: Selection[T]) -> Any:
        n = len(selection.selected) + len(selection.rest)
        return await self._attempt(
            "keeper", keeper.name, partial(keeper.keep, query, selection), n, lambda _: n
        )

    def _filter(self, stage: Filter[Q, T], query: Q, candidates: T) -> T:
        self._check_time(stage.name)
        started, n = self._clock(), len(candidates)
        try:
            mask = stage.keep(query, candidates)
        except self._operational as error:
            self._report("filter", stage.name, n, 0, started, error)
            raise StageFailedError(stage.name, error, self.reports) from error
        if len(mask) != n:
            raise StageContractError(f"Filter {stage.name} judged {len(mask)} of {n} candidates.")
        kept = candidates if mask.all() else candidates.take(np.flatnonzero(mask))
        if self._on_removed is not None and len(kept) < n:
            self._on_removed(stage.name, candidates.take(np.flatnonzero(~mask)))
        self._report("filter", stage.name, n, len(kept), started)
        return kept

    async def _hydrate_together(self, hydrators: Sequence[Hydrator[Q, T]], query: Q, candidates: T) -> T:
        n = len(candidates)
        if n == 0:
            return candidates
        answers = await _all(
            [
                self._attempt("hydrator", h.name, partial(h.hydrate, query, candidates), n, lambda _: n)
                for h in hydrators
            ]
        )
        for hydrator, columns in zip(hydrators, answers, strict=True):
            if not isinstance(columns, _Failure):
                candidates = _patched(hydrator.name, candidates, columns)
            elif hydrator.required:
                raise StageFailedError(hydrator.name, columns.error, self.reports) from columns.error
        return candidates

    async def _attempt(
        self,
        kind: Kind,
        name: str,
        work: Callable[[], Awaitable[Any]],
        entered: int,
        left: Callable[[Any], int],
    ) -> Any:
        """The stage's answer, or its :class:`_Failure`; reported either way."""
        started = self._clock()
        timeout = None if self._deadline is None else self._deadline - started
        limit: asyncio.Timeout | None = None
        try:
            if timeout is None:
                answer = await work()
            else:
                async with asyncio.timeout(timeout) as limit:
                    answer = await work()
        except TimeoutError as error:
            self._report(kind, name, entered, 0, started, error)
            if limit is not None and limit.expired():
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


async def _all(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """The answers in order; what is alone needs no task of its own."""
    if len(work) == 1:
        return [await work[0]]
    return list(await asyncio.gather(*work))


def _patched(name: str, candidates: T, columns: Columns) -> T:
    if not columns:
        return candidates
    n = len(candidates)
    for column, values in columns.items():
        if len(values) != n:
            raise StageContractError(
                f"Stage {name} gave {len(values)} values of {column} for {n} candidates."
            )
    return candidates.with_columns(columns)
