"""``GET /v1/admin/explain``: why a tweet is, or is not, in a reader's ranked feed."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Response

from ingestion.api.problems import ProblemError
from ingestion.api.shapes import TweetId, UserId
from serving.api.dependencies import AdminDep, ServiceDep, json_response
from serving.api.feed import ranking_shape
from serving.feed.answer import Answer
from serving.feed.candidates import Candidates
from serving.feed.explanation import Trace
from serving.shapes import WhyNot

router = APIRouter(prefix="/v1/admin", tags=["admin"])

PAGE = 20


@router.get("/explain", response_model=WhyNot, summary="Why a tweet is or is not in a feed")
async def explain(
    service: ServiceDep,
    admin: AdminDep,
    user: UserId,
    tweet: TweetId,
) -> Response:
    """Ranks the reader's feed now, without showing or logging it, and follows the tweet through it."""
    if not await service.reads.users(admin, [user]):
        raise ProblemError(404, "There is no such user.")
    started = service.seconds()
    answer, trace = await service.feed.trace(user, tweet, PAGE)
    return json_response(why_not(answer, trace, (service.seconds() - started) * 1000))


def why_not(answer: Answer, trace: Trace, ms: float) -> WhyNot:
    """What became of the traced tweet."""
    shape: WhyNot = {
        "outcome": "no_candidate" if trace.stage is None else "removed",
        "stage": trace.stage,
        "position": None,
        "score": None,
        "sources": trace.sources,
        "ranking": ranking_shape(answer, ms),
    }
    below = Candidates.none() if answer.rest is None else answer.rest
    for outcome, table, first in (("shown", answer.items, 0), ("below_the_page", below, len(answer.items))):
        found = np.flatnonzero(table.original == trace.tweet)
        if len(found):
            row = int(found[0])
            trace.came_by(table)
            score = float(table.score[row])
            shape["outcome"] = "shown" if outcome == "shown" else "below_the_page"
            shape["stage"], shape["position"] = None, first + row
            shape["score"] = None if score != score else score
            shape["sources"] = trace.sources
    return shape
