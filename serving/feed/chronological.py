"""Pages newest first: of the home timeline, below it from the records, and where there is nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from redis.exceptions import RedisError

from serving.archive import Archive, ArchiveReads, ArchiveUnavailableError
from serving.breaker import BreakerOpenError
from serving.feed.answer import Answer, FeedRun, answer_of
from serving.feed.candidates import Candidates
from serving.feed.cursor import ChronologicalCursor, Cursor, CursorSigner, RankedCursor
from serving.feed.deeper import page_below
from serving.feed.features import FeaturesMissingError
from serving.feed.ladder import NoTimeForHeadsError
from serving.feed.pipelines import (
    FeedPipeline,
    Stores,
    chronological,
    from_records,
    last_rung,
    popular_now,
)
from serving.feed.query import FeedQuery
from serving.pipeline.reports import DeadlineExceededError, PipelineError, StageFailedError, StageReport
from serving.pipeline.runner import Runner
from serving.shapes import Reason, Rung


class FeedUnavailableError(RuntimeError):
    """The timelines cannot be read, so there is nothing to answer with."""


@dataclass(frozen=True)
class ChronologicalPages:
    """Answers newest first; with the store gone from the records."""

    stores: Stores
    runner: Runner
    signer: CursorSigner

    async def page(self, query: FeedQuery, reason: Reason, earlier: Sequence[StageReport] = ()) -> Answer:
        try:
            run = await self.runner.run(chronological(self.stores), query)
        except PipelineError as error:
            return await self._last_rung(query, error)
        cursor = None
        if len(run.rest):
            cursor = _continued(run, int(run.selected.appearance[-1]), reason)
        elif self.stores.archive is not None:
            home = run.query.home
            if home is None:
                raise ValueError("A chronological page reads the home timeline.")
            if home.beyond and not len(run.selected):
                query = dataclasses.replace(run.query, below=min(query.below, home.beyond))
                followees, below_home = home.followees.tolist(), partial(from_records, self.stores)
                try:
                    return await self._from_records(self.stores.archive, query, followees, reason, below_home)
                except (ArchiveUnavailableError, PipelineError) as error:
                    raise FeedUnavailableError(str(error)) from error
            if home.beyond:
                cursor = _continued(run, min(query.below, home.beyond), reason)
        answer = self._answer(run, "chronological", reason, cursor)
        return dataclasses.replace(answer, reports=(*earlier, *answer.reports))

    async def or_popular(
        self, query: FeedQuery, reason: Reason, earlier: Sequence[StageReport] = ()
    ) -> Answer:
        """The first page newest first; what is popular now where that is empty."""
        answer = await self.page(query, reason, earlier)
        if len(answer.items) or answer.next_cursor is not None or self.stores.shared is None:
            return answer
        try:
            run = await self.runner.run(popular_now(self.stores, self.stores.shared), query)
        except PipelineError:
            return answer
        popular = self._answer(run, answer.rung, reason, None)
        return dataclasses.replace(popular, reports=(*answer.reports, *popular.reports))

    async def _last_rung(self, query: FeedQuery, error: PipelineError) -> Answer:
        """A page from the records, where the store does not answer.

        Raises:
            FeedUnavailableError: the records do not answer either.
        """
        archive = self.stores.archive
        if archive is None:
            raise FeedUnavailableError(str(error)) from error
        try:
            known = await archive.ask(archive.lists.standing(query.reader))
            query = dataclasses.replace(query, hidden=known.hidden, muted_words=known.muted_words)
            compose = partial(last_rung, ArchiveReads(archive, known.followees))
            return await self._from_records(
                archive, query, sorted(known.followees), reason_of(error), compose
            )
        except (ArchiveUnavailableError, PipelineError) as unavailable:
            raise FeedUnavailableError(f"{error} {unavailable}") from unavailable

    async def _from_records(
        self,
        archive: Archive,
        query: FeedQuery,
        followees: Sequence[int],
        reason: Reason,
        compose: Callable[[Candidates], FeedPipeline],
    ) -> Answer:
        run, reached = await page_below(self.runner, archive, query, followees, compose)
        cursor = _continued(run, reached, reason) if reached else None
        return self._answer(run, "records", reason, cursor)

    def _answer(self, run: FeedRun, rung: Rung, reason: Reason, cursor: Cursor | None) -> Answer:
        return answer_of(run, rung, reason, None, self.signer.text_of(cursor, run.query.reader))


def _continued(run: FeedRun, last: int, reason: Reason) -> ChronologicalCursor | RankedCursor:
    """The cursor of a chronological page that goes on below ``last``."""
    query = run.query
    if len(query.ranked):
        return RankedCursor(query.request_id, query.offset + len(run.selected), last)
    top = query.top if query.offset else int(run.selected.appearance[0])
    return ChronologicalCursor(top, last, query.offset + len(run.selected), reason)


def reason_of(error: PipelineError | RedisError) -> Reason:
    """What the answer says of why nothing was ranked."""
    cause = error.cause if isinstance(error, StageFailedError) else error
    if isinstance(cause, FeaturesMissingError):
        return "features_unavailable"
    if isinstance(cause, BreakerOpenError):
        return "breaker_open"
    if isinstance(cause, NoTimeForHeadsError | DeadlineExceededError):
        return "deadline"
    return "redis_unavailable"


def reports_of(error: PipelineError | RedisError) -> Sequence[StageReport]:
    return error.reports if isinstance(error, PipelineError) else ()
