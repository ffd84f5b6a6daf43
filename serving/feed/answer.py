"""What the feed gives back to the HTTP layer: the page as values, before it becomes JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.feed.candidates import Candidates
from serving.feed.policy import Policy
from serving.feed.query import FeedQuery
from serving.pipeline.reports import Run, StageReport
from serving.shapes import Reason, Rung
from timelines.entry import Ids

FeedRun = Run[FeedQuery, Candidates]


@dataclass(frozen=True)
class Answer:
    """One page: ``first_position`` is the place of its first item in the whole scrolling.

    ``appearances`` are those of the whole ranking, int64; ``policy`` made its order;
    ``arm`` is the reader's in the experiment under way, ``experiment:arm``.
    ``rest``: what follows the page.
    """

    request_id: str
    rung: Rung
    reason: Reason | None
    model: str | None
    items: Candidates
    first_position: int
    next_cursor: str | None
    candidates: int
    as_of_ms: int
    reports: Sequence[StageReport]
    removed: Mapping[str, int] = field(default_factory=dict)
    policy: Policy | None = None
    arm: str | None = None
    rest: Candidates | None = None
    appearances: Ids = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def answer_of(
    run: FeedRun, rung: Rung, reason: Reason | None, model: str | None, next_cursor: str | None
) -> Answer:
    """The page of a run."""
    query = run.query
    return Answer(
        request_id=query.request_id,
        rung=rung,
        reason=reason,
        model=model,
        items=run.selected,
        first_position=query.offset,
        next_cursor=next_cursor,
        candidates=run.candidates,
        as_of_ms=query.now_ms,
        reports=run.reports,
        removed=run.removed,
    )
