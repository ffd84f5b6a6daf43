"""``POST /v1/rank``: for services, which sign their requests."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyHeader
from pydantic import Field

from ingestion.api.problems import ProblemError
from ingestion.api.shapes import Request as Body
from ingestion.api.shapes import TweetId, UserId
from ingestion.signatures import InvalidSignatureError, check
from serving.api.dependencies import ServiceDep, json_response
from serving.feed.features import FeaturesMissingError
from serving.rank import ModelMissingError, Ranker
from serving.service import Service
from serving.shapes import RankAnswer

router = APIRouter(prefix="/v1", tags=["rank"])

_header = APIKeyHeader(
    name="Authorization",
    scheme_name="ServiceSignature",
    description="HMAC service:milliseconds:nonce:hex; see docs/ranking.md",
    auto_error=False,
)


class RankRequest(Body):
    user_id: UserId
    tweet_ids: Annotated[list[TweetId], Field(min_length=1, max_length=500)]


async def calling_service(
    request: Request, service: ServiceDep, header: Annotated[str | None, Depends(_header)]
) -> str:
    """The service that signed the request; 401 without a signature, or with one that was used before."""
    security, now_ms = request.app.state.token_check.settings, service.feed.clock.now_ms()
    skew_ms = security.service_skew_seconds * 1000
    path = request.scope["raw_path"].decode("ascii")
    if query := request.scope["query_string"].decode("ascii"):
        path += f"?{query}"
    try:
        caller, nonce = check(
            header, service.service_keys, request.method, path, await request.body(), now_ms, skew_ms
        )
        if not await _first_use(service, caller, nonce, 2 * skew_ms):
            raise InvalidSignatureError("This request has been sent before.")
    except InvalidSignatureError as error:
        raise ProblemError(401, str(error), headers={"WWW-Authenticate": "HMAC"}) from error
    return caller


@router.post("/rank", response_model=RankAnswer, summary="Scores of a service's own candidates")
async def rank(
    body: RankRequest, service: ServiceDep, caller: Annotated[str, Depends(calling_service)]
) -> Response:
    """Items in the order asked for; ``unknown`` names tweets that are not there and have no score."""
    feed = service.feed
    ranker = Ranker(service.reads, feed.models, feed.clock.now_ms, feed.count_missing)
    try:
        return json_response(await ranker.rank(body.user_id, body.tweet_ids))
    except (ModelMissingError, FeaturesMissingError) as error:
        raise ProblemError(503, str(error), headers={"Retry-After": "5"}) from error


async def _first_use(service: Service, caller: str, nonce: str, keep_ms: int) -> bool:
    digest = hashlib.sha256(f"{caller}:{nonce}".encode()).digest()
    key = service.reads.keys.key("nonce", *(int.from_bytes(digest[at : at + 7], "big") for at in (0, 7, 14)))
    return bool(await service.reads.redis.set(key, b"", nx=True, px=keep_ms))
