"""One page of a feed: which pipeline answers, what happens when ranking cannot, and what is logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from redis.exceptions import RedisError

from serving.archive import ArchiveUnavailableError
from serving.experiments.assignment import Assignment, Treatment
from serving.experiments.shadows import Shadows
from serving.feed.answer import Answer, FeedRun, answer_of
from serving.feed.candidates import Candidates, joined
from serving.feed.chronological import ChronologicalPages, FeedUnavailableError, reason_of, reports_of
from serving.feed.cursor import (
    ChronologicalCursor,
    Cursor,
    CursorError,
    CursorSigner,
    ListCursor,
    RankedCursor,
)
from serving.feed.explanation import Trace
from serving.feed.features import FeaturesMissingError
from serving.feed.ladder import (
    RUNGS,
    HeadsClock,
    Ladder,
    Load,
    NoTimeForHeadsError,
    RankedRung,
    answered,
    budget,
)
from serving.feed.pipelines import (
    Ranking,
    Stores,
    newer,
    ranked,
    ranked_scroll,
)
from serving.feed.policy import Policy
from serving.feed.query import EVERYTHING, Algorithm, FeedQuery
from serving.feed.side_effects import Impressions, LogImpressions, NoteServed
from serving.feed.snapshot import Snapshot, Snapshots, more_below
from serving.model_store import Model
from serving.pipeline.reports import (
    PipelineError,
)
from serving.pipeline.runner import Runner
from serving.pipeline.stages import Selection, SideEffect
from serving.shapes import Reason, Rung

OPERATIONAL: tuple[type[Exception], ...] = (
    RedisError,
    OSError,
    FeaturesMissingError,
    ArchiveUnavailableError,
    NoTimeForHeadsError,
)
"""What a stage of the feed may fail with; anything else is a programmer's error."""


class Models(Protocol):
    """Tells the model in use; None while there is none."""

    @property
    def current(self) -> Model | None: ...


@dataclass(frozen=True)
class Request:
    """What the client asked: ``cursor`` is the text it was given; an ``audit`` makes no impressions."""

    reader: int
    algorithm: Algorithm
    limit: int
    cursor: str | None
    audit: bool = False


@dataclass(frozen=True)
class FeedLimits:
    """``deadline_seconds`` bounds the wait for a turn and ranking up to the order; ``ladder`` what that may
    cost under load.
    """

    deadline_seconds: float
    ladder: Ladder


@dataclass(frozen=True)
class Clock:
    """``now_ms``: the moment of a request, milliseconds UTC; ``request_id``: 32 fresh hex digits;
    ``seconds`` only grow and measure durations.
    """

    now_ms: Callable[[], int]
    request_id: Callable[[], str]
    seconds: Callable[[], float]


@dataclass(frozen=True)
class Feed:
    """Answers feed requests; see :meth:`page`.

    ``policy`` is in force where no arm of the ``assignment`` names another; ``challengers`` are the models
    that arms name by their alias.
    """

    stores: Stores
    models: Models
    runner: Runner
    snapshots: Snapshots
    signer: CursorSigner
    impressions: Impressions
    limits: FeedLimits
    clock: Clock
    count_missing: Callable[[str, int], None]
    policy: Policy
    load: Load
    assignment: Assignment | None = None
    challengers: Mapping[str, Models] = field(default_factory=dict)
    shadows: Shadows | None = None
    heads_clock: HeadsClock = field(default_factory=HeadsClock)

    async def page(self, request: Request) -> tuple[Answer, Model | None]:
        """One page, and the model that ranked it.

        Raises:
            CursorError: a cursor that was not given to this reader for this algorithm.
            SnapshotGoneError: the ranking that the cursor continues is kept no longer.
            FeedUnavailableError: the timelines cannot be read.
        """
        cursor = None if request.cursor is None else self.signer.read(request.cursor, request.reader)
        scrolls_ranking = isinstance(cursor, RankedCursor) and request.algorithm == "chronological"
        if scrolls_ranking or isinstance(cursor, ListCursor):
            raise CursorError
        started = self.clock.seconds()
        query = self._query(request.reader, request.limit)
        async with self.load.turn() as others:
            waited = (self.clock.seconds() - started) / self.limits.deadline_seconds
            rung = self.limits.ladder.rung(others, waited)
            answer, model = await self._answer(query, request.algorithm, cursor, rung)
        if not request.audit:
            log = LogImpressions(self.impressions, answer, (self.clock.seconds() - started) * 1000)
            query = dataclasses.replace(query, request_id=answer.request_id)
            effects: list[SideEffect[FeedQuery, Candidates]] = [log]
            if answer.rung in RUNGS:
                effects.append(NoteServed(self.stores.redis, self.stores.keys))
            self.runner.start_side_effects(effects, query, Selection(answer.items, Candidates.none()))
            if self.shadows is not None and answer.rung == "full" and answer.rest is not None:
                self.runner.start_side_effects([self.shadows], query, Selection(answer.items, answer.rest))
        return answer, model

    async def trace(self, reader: int, tweet: int, limit: int) -> tuple[Answer, Trace]:
        """The ranking that ``reader`` would get now, with what became of ``tweet`` on the way; nothing is
        kept or logged of it.

        Raises:
            FeedUnavailableError: the feed cannot be ranked now.
        """
        treatment = self._treatment(reader)
        model = self._model(treatment)
        if model is None:
            raise FeedUnavailableError("There is no model to rank with.")
        query = self._query(reader, limit)
        trace = Trace(tweet)
        try:
            answer = await self._ranked(query, model, treatment, "full", trace)
        except (PipelineError, RedisError) as error:
            raise FeedUnavailableError(str(error)) from error
        return answer, trace

    async def delta(self, reader: int, since: int, limit: int) -> tuple[int, Candidates]:
        """How many tweets appeared after ``since``, and the newest ``limit`` of them.

        Raises:
            FeedUnavailableError: the timelines cannot be read.
        """
        query = FeedQuery(reader, limit, self.clock.now_ms(), self.clock.request_id(), since=since)
        try:
            run = await self.runner.run(newer(self.stores), query)
        except PipelineError as error:
            raise FeedUnavailableError(str(error)) from error
        return len(run.selected) + len(run.rest), run.selected

    def _query(self, reader: int, limit: int) -> FeedQuery:
        deadline = self.runner.clock() + self.limits.deadline_seconds
        return FeedQuery(reader, limit, self.clock.now_ms(), self.clock.request_id(), deadline=deadline)

    async def _answer(
        self, query: FeedQuery, algorithm: Algorithm, cursor: Cursor | None, rung: RankedRung | None
    ) -> tuple[Answer, Model | None]:
        if isinstance(cursor, RankedCursor):
            return await self._scroll(query, cursor)
        treatment = self._treatment(query.reader)
        answer, model = await self._fresh(query, treatment, algorithm, cursor, rung)
        return dataclasses.replace(answer, arm=treatment.arm), model

    async def _fresh(
        self,
        query: FeedQuery,
        treatment: Treatment,
        algorithm: Algorithm,
        cursor: Cursor | None,
        rung: RankedRung | None,
    ) -> tuple[Answer, Model | None]:
        if isinstance(cursor, ChronologicalCursor):
            query = dataclasses.replace(query, top=cursor.top, below=cursor.last, offset=cursor.shown)
            return await self._chronological.page(query, cursor.reason), None
        if algorithm == "chronological":
            return await self._chronological.page(query, "requested"), None
        model = self._model(treatment)
        if model is None:
            return await self._chronological.or_popular(query, "model_unavailable"), None
        if rung is None:
            return await self._chronological.or_popular(query, "overload"), None
        try:
            answer = await self._ranked(query, model, treatment, rung)
        except (PipelineError, RedisError) as error:
            return await self._chronological.or_popular(query, reason_of(error), reports_of(error)), None
        if not len(answer.items):
            return await self._chronological.or_popular(query, "no_candidates", answer.reports), None
        return answer, model

    async def _ranked(
        self,
        query: FeedQuery,
        model: Model,
        treatment: Treatment,
        rung: RankedRung,
        trace: Trace | None = None,
    ) -> Answer:
        cost = budget(rung, treatment.policy.budgets)
        ranking = Ranking(
            model.bundle,
            model.version,
            treatment,
            rung,
            cost.candidates,
            cost.heads,
            self.heads_clock,
            self.runner.clock,
        )
        pipeline = ranked(self.stores, ranking, self.snapshots, self.count_missing)
        if trace is None:
            run = await self.runner.run(pipeline, query, query.deadline)
        else:
            pipeline = dataclasses.replace(pipeline, keepers=())
            run = await self.runner.run(pipeline, query, query.deadline, trace.removed)
        whole = joined([run.selected, run.rest])
        cursor = None
        if len(run.rest) or (len(whole) and more_below(run.query, whole)):
            cursor = RankedCursor(query.request_id, len(run.selected))
        stands_on, reason = answered(rung, run.scorer == "heads")
        answer = self._answer_of(run, stands_on, reason, model.version, cursor)
        return dataclasses.replace(
            answer,
            candidates=len(whole),
            appearances=whole.appearance,
            policy=treatment.policy,
            rest=run.rest,
        )

    async def _scroll(self, query: FeedQuery, cursor: RankedCursor) -> tuple[Answer, Model | None]:
        query = dataclasses.replace(query, offset=cursor.offset, request_id=cursor.request_id)
        try:
            snapshot = await self.snapshots.read(query.reader, cursor.request_id)
            if cursor.below != EVERYTHING or cursor.offset >= snapshot.places:
                return await self._below_ranking(query, snapshot, cursor.below), None
            run = await self.runner.run(ranked_scroll(self.stores, snapshot), query)
        except (PipelineError, RedisError) as error:
            raise FeedUnavailableError(str(error)) from error
        if not len(run.selected):  # all that was left of the ranking has gone since
            return await self._below_ranking(query, snapshot, cursor.below), None
        following = None
        if len(run.rest):
            following = RankedCursor(cursor.request_id, int(run.selected.rank[-1]) + 1)
        elif snapshot.more:
            following = RankedCursor(cursor.request_id, snapshot.places)
        known = (models.current for models in (self.models, *self.challengers.values()))
        same = next((model for model in known if model and model.version == snapshot.model), None)
        answer = self._answer_of(run, snapshot.rung, snapshot.reason, snapshot.model, following)
        answer = dataclasses.replace(
            answer,
            candidates=snapshot.candidates,
            as_of_ms=snapshot.as_of_ms,
            appearances=snapshot.appearances,
            policy=snapshot.policy,
            arm=snapshot.arm,
        )
        return answer, same

    async def _below_ranking(self, query: FeedQuery, snapshot: Snapshot, below: int) -> Answer:
        """A page of what the ranking has not, newest first."""
        ranked = snapshot.table().original
        query = dataclasses.replace(query, ranked=ranked, top=snapshot.top, below=below)
        answer = await self._chronological.page(query, "no_candidates")
        return dataclasses.replace(answer, arm=snapshot.arm)

    @property
    def _chronological(self) -> ChronologicalPages:
        return ChronologicalPages(self.stores, self.runner, self.signer)

    def _answer_of(
        self, run: FeedRun, rung: Rung, reason: Reason | None, model: str, cursor: Cursor | None
    ) -> Answer:
        return answer_of(run, rung, reason, model, self.signer.text_of(cursor, run.query.reader))

    def _treatment(self, reader: int) -> Treatment:
        return Treatment(self.policy) if self.assignment is None else self.assignment.treatment(reader)

    def _model(self, treatment: Treatment) -> Model | None:
        """The model of the treatment; the champion until that one has come."""
        models = None if treatment.model is None else self.challengers.get(treatment.model)
        return (models and models.current) or self.models.current
