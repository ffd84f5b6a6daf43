"""``GET /v1/feed`` and ``GET /v1/feed/delta``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response

from serving.accounts import nameless
from serving.api.dependencies import BearerDep, ReaderDep, ServiceDep, json_response
from serving.feed.answer import Answer
from serving.feed.candidates import (
    CELEBRITY,
    FOLLOWING,
    POPULAR,
    SIMILAR,
    SOURCES,
    TRENDING,
    TWO_HOP,
    Candidates,
)
from serving.feed.explanation import explain as explain_items
from serving.feed.feed import Request
from serving.feed.ladder import RUNGS
from serving.feed.query import Algorithm
from serving.pipeline.reports import StageReport
from serving.reads import tweet_shape
from serving.shapes import (
    Explanation,
    FeedDelta,
    FeedItem,
    FeedPage,
    Ranking,
    TweetCounts,
    TweetViewer,
    User,
    rfc3339,
)
from training.bundle import Bundle

router = APIRouter(prefix="/v1/feed", tags=["feed"])

DELTA_ITEMS = 50
NO_COUNTS: TweetCounts = {"likes": 0, "retweets": 0, "replies": 0, "quotes": 0}
NO_VIEWER: TweetViewer = {"liked": False, "retweeted": False}
REASONS = {
    FOLLOWING: "From an account you follow",
    CELEBRITY: "From a popular account you follow",
    TWO_HOP: "Liked by an account you follow",
    SIMILAR: "Close to what you like",
    TRENDING: "Trending where you are",
    POPULAR: "Popular now",
}
ID_PATTERN = r"^[0-9]{1,19}$"


@router.get("", response_model=FeedPage, summary="The reader's home feed")
async def feed(
    service: ServiceDep,
    bearer: BearerDep,
    algorithm: Algorithm = "ranked",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    explain: bool = False,
) -> Response:
    """Ranked, or chronological where asked for or where ranking cannot answer: see ``ranking``."""
    started = service.seconds()
    answer, model = await service.feed.page(Request(bearer.user, algorithm, limit, cursor, bearer.audit))
    bundle = model.bundle if explain and model is not None else None
    page = page_shape(answer, bundle, explain, (service.seconds() - started) * 1000)
    service.metrics.observe(answer)
    return json_response(page, {"Server-Timing": server_timing(answer.reports)})


@router.get("/delta", response_model=FeedDelta, summary="What is newer than a tweet or retweet")
async def delta(
    service: ServiceDep, reader: ReaderDep, since: Annotated[str, Query(pattern=ID_PATTERN)]
) -> Response:
    """``since`` is the ``appearance_id`` of the newest item the client has."""
    count, items = await service.feed.delta(reader, int(since), DELTA_ITEMS)
    shape: FeedDelta = {
        "count": count,
        "items": item_shapes(items, 0),
    }
    return json_response(shape)


def page_shape(answer: Answer, bundle: Bundle | None, explain: bool, ms: float) -> FeedPage:
    """The page as JSON; with ``explain`` what the filters removed, and with a bundle why each item scored."""
    explanations: Sequence[Explanation] = ()
    if bundle is not None and answer.rung in RUNGS and answer.items.features.shape[1]:
        explanations = explain_items(bundle, answer.items, answer.appearances)
    page: FeedPage = {
        "request_id": answer.request_id,
        "items": item_shapes(answer.items, answer.first_position, explanations),
        "next_cursor": answer.next_cursor,
        "has_more": answer.next_cursor is not None,
        "ranking": ranking_shape(answer, ms),
        "as_of": rfc3339(answer.as_of_ms),
    }
    if explain:
        page["explanation"] = {
            "removed": dict(answer.removed),
            "stages": [
                {
                    "stage": report.name,
                    "entered": report.entered,
                    "left": report.left,
                    "ms": round(report.ms, 3),
                    "error": report.error,
                }
                for report in answer.reports
            ],
            "formula": None if bundle is None else bundle.manifest.formula_version,
            "policy": None if answer.policy is None else answer.policy.version,
            "out_of_network": None if answer.policy is None else answer.policy.network.out_of_network,
        }
    return page


def ranking_shape(answer: Answer, ms: float) -> Ranking:
    """How the answer came about, in ``ms`` milliseconds."""
    return {
        "rung": answer.rung,
        "reason": answer.reason,
        "model": answer.model,
        "candidates": answer.candidates,
        "ms": round(ms, 2),
    }


def item_shapes(
    items: Candidates, first_position: int, explanations: Sequence[Explanation] = ()
) -> list[FeedItem]:
    """The items as JSON; what is not known of them is left out or zero.

    Raises:
        ValueError: a candidate has no body: it has not been through a pipeline.
    """
    rows = zip(
        items.appearance.tolist(),
        items.original_author.tolist(),
        items.is_retweet.tolist(),
        items.source.tolist(),
        items.score.tolist(),
        items.body,
        items.author_user,
        items.counts,
        items.viewer,
        items.retweeted_by,
        items.liked_by_users,
        items.liked_by,
        strict=True,
    )
    shapes: list[FeedItem] = []
    for position, row in enumerate(rows, first_position):
        appearance, author, is_retweet, source, score, body, user, counts, viewer, retweeted_by, *liked = row
        if body is None:
            raise ValueError(f"The tweet of appearance {appearance} has no body.")
        shapes.append(
            {
                "tweet": tweet_shape(
                    body,
                    user or nameless(author),
                    counts or NO_COUNTS,
                    viewer or NO_VIEWER,
                    retweeted_by,
                ),
                "appearance_id": str(appearance),
                "position": position,
                "source": SOURCES[source],
                "score": None if score != score else score,
                "reason": _reason(source, is_retweet, *liked),
            }
        )
    for shape, explanation in zip(shapes, explanations, strict=False):
        shape["explanation"] = explanation
    return shapes


def server_timing(reports: Sequence[StageReport]) -> str:
    """The stages' milliseconds as a ``Server-Timing`` header."""
    return ", ".join(f"{report.name};dur={report.ms:.2f}" for report in reports)


def _reason(source: int, is_retweet: bool, likers: Sequence[User], liked_by: Sequence[int]) -> str:
    if likers:
        others = len(liked_by) - 1
        more = f" and {others} more whom you follow" if others else ", whom you follow"
        return f"Liked by {likers[0]['display_name']}{more}"
    if is_retweet:
        return "Retweeted by an account you follow"
    return REASONS[source]
