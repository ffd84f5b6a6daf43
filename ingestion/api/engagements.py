"""Likes, retweets and follows: each can be set and taken back any number of times."""

from __future__ import annotations

import uuid

from fastapi import APIRouter

from ingestion.api import effects
from ingestion.api.auth import CurrentUser
from ingestion.api.dependencies import Writes, standing_tweet
from ingestion.api.problems import FieldError, ProblemError
from ingestion.api.service import WriteService
from ingestion.api.shapes import TweetId, UserId
from ingestion.events import FollowChanged, LikeChanged, RetweetChanged
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
    body = await standing_tweet(service, tweet_id)
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
    body = await service.look(service.targets.tweet(tweet_id))
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


@router.put("/v1/users/{user_id}/follow", status_code=204)
async def follow(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """Follow an account."""
    if user_id == user:
        raise ProblemError(
            422, "Nobody follows themselves.", [FieldError("/path/user_id", "This is your own account.")]
        )
    if not await service.look(service.targets.account_exists(user_id)):
        raise ProblemError(404, f"There is no user {user_id}.")
    if await service.look(service.targets.follows(user, user_id)):
        return
    most = service.settings.writes.follows
    if await service.look(service.targets.follow_count(user, most)) >= most:
        raise ProblemError(409, f"A user follows at most {most} accounts.")
    await _follow(service, user, user_id, active=True)
    await service.backfill(user, user_id)


@router.delete("/v1/users/{user_id}/follow", status_code=204)
async def unfollow(user_id: UserId, user: CurrentUser, service: Writes) -> None:
    """Follow an account no longer: its tweets leave the feed at once."""
    if await service.look(service.targets.follows(user, user_id)):
        await _follow(service, user, user_id, active=False)


async def _like(service: WriteService, user: int, tweet_id: int, *, active: bool) -> None:
    body = await standing_tweet(service, tweet_id)
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


async def _follow(service: WriteService, follower: int, followee: int, *, active: bool) -> None:
    event = FollowChanged(
        event_id=str(uuid.uuid4()),
        ts=service.clock(),
        follower_id=follower,
        followee_id=followee,
        active=active,
    )
    await service.publish(event)
    await service.apply(lambda pipe: effects.follow_changed(pipe, service.keys, event))
