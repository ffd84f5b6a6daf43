"""Pages of tweets and accounts: user timelines, replies, followers and followed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ingestion.api.problems import ProblemError
from serving.api.dependencies import ReaderDep, ServiceDep, json_response
from serving.api.reads import EntityId
from serving.feed.cursor import ListName
from serving.service import Service
from serving.shapes import TweetPage, UserPage

router = APIRouter(prefix="/v1", tags=["lists"])

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/users/{user_id}/tweets", response_model=TweetPage, summary="What a user posted and retweeted")
async def user_timeline(
    service: ServiceDep, reader: ReaderDep, user_id: EntityId, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """Newest first; 403 where one of the two blocks the other."""
    await _require_user(service, reader, int(user_id))
    return json_response(await service.lists.timeline(reader, int(user_id), limit, cursor))


@router.get("/users/{user_id}/followers", response_model=UserPage, summary="Who follows a user")
async def followers(
    service: ServiceDep, reader: ReaderDep, user_id: EntityId, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """The newest follow first."""
    return await _accounts(service, reader, "followers", int(user_id), limit, cursor)


@router.get("/users/{user_id}/following", response_model=UserPage, summary="Whom a user follows")
async def following(
    service: ServiceDep, reader: ReaderDep, user_id: EntityId, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """The newest follow first."""
    return await _accounts(service, reader, "following", int(user_id), limit, cursor)


@router.get("/tweets/{tweet_id}/replies", response_model=TweetPage, summary="The replies to a tweet")
async def replies(
    service: ServiceDep, reader: ReaderDep, tweet_id: EntityId, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """Oldest first; 404 where the tweet is not there for this reader."""
    if await service.reads.tweet(reader, int(tweet_id)) is None:
        raise ProblemError(404, f"There is no tweet {tweet_id}.")
    return json_response(await service.lists.replies(reader, int(tweet_id), limit, cursor))


async def _accounts(
    service: Service, reader: int, name: ListName, user: int, limit: int, cursor: str | None
) -> Response:
    await _require_user(service, reader, user)
    return json_response(await service.lists.accounts(reader, name, user, limit, cursor))


async def _require_user(service: Service, reader: int, user: int) -> None:
    if user not in await service.reads.users(reader, [user]):
        raise ProblemError(404, f"There is no user {user}.")
