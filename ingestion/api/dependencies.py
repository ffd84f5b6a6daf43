"""What routes of the write API depend on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from ingestion.api.problems import ProblemError
from ingestion.api.service import WriteService
from timelines.bodies import TweetBody


def service_of(request: Request) -> WriteService:
    """The service that the app's lifespan opened."""
    service: WriteService = request.app.state.writes
    return service


Writes = Annotated[WriteService, Depends(service_of)]


async def standing_tweet(service: WriteService, tweet_id: int) -> TweetBody:
    """The tweet's body; 404 where there is none or it was deleted."""
    body = await service.tweet(tweet_id)
    if body is None or body.deleted:
        raise ProblemError(404, f"There is no tweet {tweet_id}.")
    return body


async def visible_tweet(service: WriteService, user: int, tweet_id: int) -> TweetBody:
    """The tweet's body; 404 where it does not stand, or its author and ``user`` block each other."""
    body = await standing_tweet(service, tweet_id)
    if await service.look(service.targets.blocked(user, body.author_id)):
        raise ProblemError(404, f"There is no tweet {tweet_id}.")
    return body
