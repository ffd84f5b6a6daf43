"""``GET /v1/feed/stream``: what is new in a feed, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Request, Response
from starlette.types import Receive, Scope, Send

from ingestion.api.problems import ProblemError
from serving.api.dependencies import ReaderDep
from serving.api.feed import ID_PATTERN, item_shapes
from serving.feed.feed import Feed
from serving.live.connection import Connection
from serving.live.hub import Hub, Newer
from serving.live.settings import LiveSection
from serving.live.shutdown import before_shutdown
from serving.live.streams import TooManyStreamsError
from serving.metrics import ServingMetrics
from serving.settings import ServingSettings
from serving.shapes import FeedItem
from timelines.home import HomeReader

router = APIRouter(prefix="/v1/feed", tags=["feed"])

HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"))
# One response, then the server lets go of the connection; proxies pass events on as they come.
MORE_HEADERS = ((b"connection", b"close"), (b"x-accel-buffering", b"no"))


class EventStream(Response):
    """Sends what the hub puts on a connection until one of the three ends it."""

    def __init__(self, hub: Hub, reader: int, connection: Connection, settings: LiveSection) -> None:
        self.status_code, self.background = 200, None
        self._hub, self._reader, self._connection = hub, reader, connection
        self._write_seconds = settings.write_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = self._connection
        watcher = asyncio.create_task(self._watch(receive))
        try:
            start = {"type": "http.response.start", "status": 200, "headers": [*HEADERS, *MORE_HEADERS]}
            await send(start)
            while (content := await connection.next()) is not None:
                async with asyncio.timeout(self._write_seconds):
                    await send({"type": "http.response.body", "body": content, "more_body": True})
            async with asyncio.timeout(self._write_seconds):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            connection.end("slow")  # the server closes what has not been completed
        finally:
            watcher.cancel()
            self._hub.leave(self._reader, connection)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._connection.end("gone")


@router.get(
    "/stream",
    response_class=Response,
    summary="New tweets and changed counts as they come",
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        429: {"description": "The reader has too many streams."},
        503: {"description": "The worker has too many streams."},
    },
)
async def stream(
    request: Request,
    reader: ReaderDep,
    last_event_id: Annotated[str | None, Header(pattern=ID_PATTERN)] = None,
) -> Response:
    """Server-sent events: ``ready`` and ``tweet`` carry the appearance id to resume from, ``counts`` have new
    counts of recent tweets, ``reload`` says that more is new than is sent, ``end`` that the server ends it.
    """
    hub: Hub = request.app.state.live
    try:
        connection = hub.open(reader, None if last_event_id is None else int(last_event_id))
    except TooManyStreamsError as error:
        raise ProblemError(error.status, str(error), headers={"Retry-After": "5"}) from error
    return EventStream(hub, reader, connection, request.app.state.live_settings)


def newer_of(feed: Feed) -> Newer:
    """What the hub asks for: the feed's delta as it is shown."""

    async def newer(reader: int, since: int, limit: int) -> Sequence[tuple[int, FeedItem]]:
        _, items = await feed.delta(reader, since, limit)
        return list(zip(items.appearance.tolist(), item_shapes(items, 0), strict=True))

    return newer


@asynccontextmanager
async def streaming(
    app: FastAPI, settings: ServingSettings, feed: Feed, metrics: ServingMetrics
) -> AsyncIterator[None]:
    """Feeds the app's streams; they end when the process is told to."""
    stores = feed.stores
    keeps_nothing = settings.timelines.model_copy(update={"pull_cache_ms": 0})
    home = HomeReader(stores.redis, stores.keys, keeps_nothing)
    hub = Hub(home, stores.reads, newer_of(feed), settings.live, metrics.live)
    app.state.live, app.state.live_settings = hub, settings.live
    hub.start()
    try:
        with before_shutdown(hub.stop):
            yield
    finally:
        await hub.close()
