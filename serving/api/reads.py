"""``GET /v1/tweets/{id}``, ``/v1/users/{id}`` and ``/v1/trends``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from ingestion.api.problems import ProblemError
from serving.api.dependencies import ReaderDep, ServiceDep, json_response
from serving.api.feed import ID_PATTERN
from serving.shapes import Trends, Tweet, User

router = APIRouter(prefix="/v1")

EntityId = Annotated[str, Path(pattern=ID_PATTERN)]


@router.get("/tweets/{tweet_id}", response_model=Tweet, tags=["tweets"], summary="One tweet")
async def tweet(service: ServiceDep, reader: ReaderDep, tweet_id: EntityId) -> Response:
    """404 where there is none, it is deleted, or it is not for this reader."""
    found = await service.reads.tweet(reader, int(tweet_id))
    if found is None:
        raise ProblemError(404, f"There is no tweet {tweet_id}.")
    return json_response(found)


@router.get("/users/{user_id}", response_model=User, tags=["users"], summary="A profile with its counts")
async def user(service: ServiceDep, reader: ReaderDep, user_id: EntityId) -> Response:
    found = (await service.reads.users(reader, [int(user_id)])).get(int(user_id))
    if found is None:
        raise ProblemError(404, f"There is no user {user_id}.")
    return json_response(found)


@router.get("/trends", response_model=Trends, tags=["trends"], summary="Trending hashtags and terms")
async def trends(
    service: ServiceDep,
    place: Annotated[str, Query(min_length=1, max_length=100)] = "world",
    window: Literal["1h", "6h", "24h"] = "1h",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    """``as_of`` is null while the place has no trends."""
    return json_response(await service.reads.trends(place, window, limit))
