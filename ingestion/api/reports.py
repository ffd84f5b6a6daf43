"""What clients say was seen and done."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable

import numpy as np
from fastapi import APIRouter

from ingestion.api import effects
from ingestion.api.auth import CurrentUser
from ingestion.api.dependencies import Writes
from ingestion.api.service import WriteService
from ingestion.api.shapes import Reports
from ingestion.events import AuthorHidden, ClientReport
from timelines.lately import note_seen

router = APIRouter(tags=["impressions"])

SEEING = ("shown", "open", "dwell")
"""What says that the reader has seen the tweet: it is not ranked again for some days."""
HIDING = ("hide", "report")
"""What says that the reader wants to see less of the tweet's author."""


@router.post("/v1/impressions", status_code=202)
async def report(reports: Reports, user: CurrentUser, service: Writes) -> None:
    """Take a client's report of served items; of whom a tweet was hidden is known from the next feed on."""
    now = service.clock()
    hidden = await _authors(service, {item.tweet_id for item in reports.items if item.event in HIDING})
    hides = [
        AuthorHidden(event_id=str(uuid.uuid4()), ts=now, user_id=user, author_id=author)
        for author in sorted(hidden - {user})
    ]
    await service.publish(
        *(
            ClientReport(
                event_id=str(uuid.uuid4()),
                ts=now,
                feed_request_id=item.feed_request_id,
                user_id=user,
                tweet_id=item.tweet_id,
                position=item.position,
                action=item.event,
                ms=item.ms,
            )
            for item in reports.items
        ),
        *hides,
    )

    seen = sorted({item.tweet_id for item in reports.items if item.event in SEEING})

    def put(pipe: object) -> None:
        for event in hides:
            effects.author_hidden(pipe, service.keys, event)
        if seen:
            note_seen(pipe, service.keys, user, np.array(seen), now)

    if hides or seen:
        await service.apply(put)


async def _authors(service: WriteService, tweets: Iterable[int]) -> set[int]:
    """Who wrote these tweets, as far as they are known."""
    bodies = await asyncio.gather(*(service.tweet(tweet) for tweet in sorted(tweets)))
    return {body.author_id for body in bodies if body is not None}
