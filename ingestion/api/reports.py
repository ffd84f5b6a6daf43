"""What clients say was seen and done."""

from __future__ import annotations

import uuid

from fastapi import APIRouter

from ingestion.api.auth import CurrentUser
from ingestion.api.dependencies import Writes
from ingestion.api.shapes import Reports
from ingestion.events import ClientReport

router = APIRouter(tags=["impressions"])


@router.post("/v1/impressions", status_code=202)
async def report(reports: Reports, user: CurrentUser, service: Writes) -> None:
    """Take a client's report of served items."""
    now = service.clock()
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
        )
    )
