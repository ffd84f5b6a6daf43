"""Posting and deleting tweets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response

from ingestion.api import effects
from ingestion.api.auth import CurrentUser
from ingestion.api.dependencies import Writes, visible_tweet
from ingestion.api.limits import Allowance
from ingestion.api.problems import FieldError, ProblemError
from ingestion.api.service import WriteService
from ingestion.api.shapes import NewTweet, PostedTweet, TweetId, rfc3339
from ingestion.events import TweetCreated, TweetDeleted
from ingestion.snowflake import time_of
from ingestion.text import hashtags

router = APIRouter(tags=["tweets"])
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


@router.post("/v1/tweets", status_code=201, response_model=PostedTweet)
async def post_tweet(
    new: NewTweet, user: CurrentUser, service: Writes, idempotency_key: IdempotencyKey = None
) -> Response:
    """Publish a tweet. With an ``Idempotency-Key`` it is published once however often it is sent."""
    tweet_id = service.ids.next()
    if idempotency_key is None:
        answer, headers = await _post(service, user, new, tweet_id)
        return _created(answer, headers)
    body = new.model_dump_json().encode()
    begun = await service.look(
        service.idempotency.begin(user, idempotency_key, body, tweet_id, service.clock())
    )
    match begun.state:
        case "replay":
            return _created(begun.answer, {"Idempotency-Replayed": "true"})
        case "running":
            raise ProblemError(
                409, "A request with this Idempotency-Key is still running.", headers={"Retry-After": "1"}
            )
        case "other_body":
            raise ProblemError(
                422,
                "This Idempotency-Key was used with another body.",
                [FieldError("/header/idempotency-key", "The key belongs to another request.")],
            )
    try:
        answer, headers = await _post(service, user, new, begun.tweet_id)
    except BaseException:
        await service.attempt(service.idempotency.release(user, idempotency_key))
        raise
    await service.attempt(service.idempotency.finish(user, idempotency_key, answer))
    return _created(answer, headers)


@router.delete("/v1/tweets/{tweet_id}", status_code=204)
async def delete_tweet(tweet_id: TweetId, user: CurrentUser, service: Writes) -> None:
    """Delete one's own tweet: it is in nobody's feed from then on."""
    body = await service.tweet(tweet_id)
    if body is None:
        raise ProblemError(404, f"There is no tweet {tweet_id}.")
    if body.author_id != user:
        raise ProblemError(403, "Only its author may delete a tweet.")
    if body.deleted:
        return
    event = TweetDeleted(event_id=f"delete:{tweet_id}", ts=service.clock(), tweet_id=tweet_id, author_id=user)
    await service.publish(event)
    await service.apply(lambda pipe: effects.tweet_deleted(pipe, service.keys, event))


async def _post(
    service: WriteService, user: int, new: NewTweet, tweet_id: int
) -> tuple[bytes, dict[str, str]]:
    """The answer's body and headers, once the log has the tweet."""
    replied = await _referred(service, user, new.in_reply_to, "in_reply_to")
    await _referred(service, user, new.quote_of, "quote_of")
    allowance: Allowance = await service.look(service.tweet_limit.take(user, tweet_id, service.clock()))
    if not allowance.allowed:
        raise ProblemError(
            429, f"A user may post {allowance.limit} tweets in this time.", headers=allowance.headers
        )
    ts = time_of(tweet_id)
    event = TweetCreated(
        event_id=f"tweet:{tweet_id}",
        ts=ts,
        tweet_id=tweet_id,
        author_id=user,
        text=new.text,
        place=new.place,
        visibility=new.visibility,
        in_reply_to=new.in_reply_to,
        quote_of=new.quote_of,
        hashtags=hashtags(new.text),
        mentions=() if replied is None or replied == user else (replied,),
        media=tuple(str(url) for url in new.media),
    )
    try:
        await service.publish(event)
    except ProblemError:
        await service.attempt(service.tweet_limit.give_back(user, tweet_id))
        raise
    await service.apply(
        lambda pipe: effects.tweet_created(pipe, service.keys, service.settings.timelines, event)
    )
    posted = PostedTweet(id=str(tweet_id), created_at=rfc3339(ts))
    return posted.model_dump_json().encode(), allowance.headers


async def _referred(service: WriteService, user: int, tweet_id: int | None, name: str) -> int | None:
    """The author of the tweet that a field refers to."""
    if tweet_id is None:
        return None
    try:
        body = await visible_tweet(service, user, tweet_id)
    except ProblemError as error:
        if error.status != 404:
            raise
        raise ProblemError(
            422,
            "The request has fields that are not right.",
            [FieldError(f"#/{name}", error.detail)],
        ) from error
    return body.author_id


def _created(answer: bytes, headers: dict[str, str]) -> Response:
    return Response(answer, 201, headers, media_type="application/json")
