"""Likes and retweets: each can be set and taken back any number of times."""

from __future__ import annotations

import uuid

from fastapi import APIRouter

from ingestion.api import effects
from ingestion.api.auth import CurrentUser
from ingestion.api.dependencies import Writes, standing_tweet, visible_tweet
from ingestion.api.problems import ProblemError
from ingestion.api.service import WriteService
from ingestion.api.shapes import TweetId
from ingestion.events import LikeChanged, RetweetChanged
from ingestion.snowflake import time_of

router = APIRouter(tags=["engagements"])


@router.put("/v1/tweets/{tweet_id}/like", status_code=204)
async def like(tweet_id: TweetId, user: CurrentUser, service: Writes) -> None:
    """Like a tweet."""
    await _like(service, user, tweet_id, active=True)


@router.delete("/v1/tweets/{tweet_id}/like", status_code=204)
async def unlike(tweet_id: TweetId, user: CurrentUser, service: Writes) -> None:
    """Take a like back."""
    await _like(service, user, tweet_id, active=False)


@router.put("/v1/tweets/{tweet_id}/retweet", status_code=204)
async def retweet(tweet_id: TweetId, user: CurrentUser, service: Writes) -> None:
    """Retweet a tweet; a second time changes nothing."""
    body = await visible_tweet(service, user, tweet_id)
    if body.visibility == "followers":
        raise ProblemError(403, "A tweet for followers only cannot be retweeted.")
    if await service.look(service.targets.has_retweeted(user, tweet_id)):
        return
    retweet_id = service.ids.next()
    event = RetweetChanged(
        event_id=f"retweet:{retweet_id}",
        ts=time_of(retweet_id),
        retweet_id=retweet_id,
        user_id=user,
        tweet_id=tweet_id,
        author_id=body.author_id,
        active=True,
    )
    await _retweet(service, event)


@router.delete("/v1/tweets/{tweet_id}/retweet", status_code=204)
async def take_retweet_back(tweet_id: TweetId, user: CurrentUser, service: Writes) -> None:
    """Take a retweet back."""
    body = await service.tweet(tweet_id)
    if body is None:
        raise ProblemError(404, f"There is no tweet {tweet_id}.")
    if not await service.look(service.targets.has_retweeted(user, tweet_id)):
        return
    retweet_id = await service.look(service.targets.newest_retweet(user, tweet_id))
    if retweet_id is None:
        raise ProblemError(409, "The retweet is older than what is kept and cannot be taken back.")
    event = RetweetChanged(
        event_id=f"retweet:{retweet_id}:back",
        ts=service.clock(),
        retweet_id=retweet_id,
        user_id=user,
        tweet_id=tweet_id,
        author_id=body.author_id,
        active=False,
    )
    await _retweet(service, event)


async def _like(service: WriteService, user: int, tweet_id: int, *, active: bool) -> None:
    body = await (visible_tweet(service, user, tweet_id) if active else standing_tweet(service, tweet_id))
    event = LikeChanged(
        event_id=str(uuid.uuid4()),
        ts=service.clock(),
        user_id=user,
        tweet_id=tweet_id,
        author_id=body.author_id,
        active=active,
    )
    await service.publish(event)
    await service.apply(lambda pipe: effects.like_changed(pipe, service.keys, event))


async def _retweet(service: WriteService, event: RetweetChanged) -> None:
    await service.publish(event)
    await service.apply(
        lambda pipe: effects.retweet_changed(pipe, service.keys, service.settings.timelines, event)
    )
