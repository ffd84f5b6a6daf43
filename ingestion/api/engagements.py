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
from ingestion.api.targets import Standing
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
    known = await service.look(service.targets.retweet(user, tweet_id))
    if known is not None and known.active:
        return
    retweet_id = service.ids.next()
    event = RetweetChanged(
        event_id=f"retweet:{retweet_id}",
        ts=_later(time_of(retweet_id), known),
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
    known = await service.look(service.targets.retweet(user, tweet_id))
    if known is not None and not known.active:
        return
    standing = await service.look(service.targets.retweet_ids(user, tweet_id))
    standing = standing or await service.record(service.lists.retweets(user, tweet_id))
    events = [
        RetweetChanged(
            event_id=f"retweet:{retweet_id}:back",
            ts=_later(service.clock(), known),
            retweet_id=retweet_id,
            user_id=user,
            tweet_id=tweet_id,
            author_id=body.author_id,
            active=False,
        )
        for retweet_id in standing
    ]
    await _retweet(service, *events)


async def _like(service: WriteService, user: int, tweet_id: int, *, active: bool) -> None:
    body = await (visible_tweet(service, user, tweet_id) if active else standing_tweet(service, tweet_id))
    known = await service.look(service.targets.like(user, tweet_id))
    event = LikeChanged(
        event_id=str(uuid.uuid4()),
        ts=_later(service.clock(), known),
        user_id=user,
        tweet_id=tweet_id,
        author_id=body.author_id,
        active=active,
    )
    await service.publish(event)
    await service.apply(lambda pipe: effects.like_changed(pipe, service.keys, event))


async def _retweet(service: WriteService, *events: RetweetChanged) -> None:
    await service.publish(*events)

    def put(pipe: object) -> None:
        for event in events:
            effects.retweet_changed(pipe, service.keys, service.settings.timelines, event)

    await service.apply(put)


def _later(now_ms: int, known: Standing | None) -> int:
    """A change is newer than what it replaces, whatever the clock says."""
    return now_ms if known is None else max(now_ms, known.ts + 1)
