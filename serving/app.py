"""The ranking service as an ASGI app, alone or as a part of one app with the write API."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from redis.exceptions import RedisError

from ingestion.api import auth, problems
from serving.api import admin, feed, health, lists, page, rank, reads, stream
from serving.archive import ArchiveUnavailableError
from serving.feed.chronological import FeedUnavailableError
from serving.feed.cursor import CursorError
from serving.feed.snapshot import SnapshotGoneError
from serving.metrics import RequestTimer, ServingMetrics
from serving.service import open_service
from serving.settings import ServingSettings

logger = logging.getLogger(__name__)


def create_app(settings: ServingSettings) -> FastAPI:
    """The ranking service alone."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, settings):
            yield

    app = FastAPI(title="Tideline ranking API", version="1", lifespan=lifespan)
    problems.install(app)
    auth.install(app, settings.security)
    install(app)
    return app


def from_environment() -> FastAPI:
    """The ranking service alone, as uvicorn's ``--factory`` starts it."""
    return create_app(ServingSettings())


def install(app: FastAPI) -> None:
    """Adds the routes, their errors and their timing to an app.

    The app has ``problems`` and ``auth`` of ``ingestion.api`` installed, and its lifespan enters ``running``.
    """
    metrics = ServingMetrics()
    app.state.serving_metrics = metrics
    app.add_middleware(RequestTimer, metrics=metrics)
    for module in (feed, stream, admin, rank, reads, lists, health, page):
        app.include_router(module.router)
    app.add_exception_handler(CursorError, _bad_cursor)
    app.add_exception_handler(SnapshotGoneError, _ranking_gone)
    app.add_exception_handler(FeedUnavailableError, _redis_unavailable)
    app.add_exception_handler(RedisError, _redis_unavailable)
    app.add_exception_handler(ArchiveUnavailableError, _records_unavailable)


@asynccontextmanager
async def running(app: FastAPI, settings: ServingSettings) -> AsyncIterator[None]:
    """Holds the service open for the app's life."""
    metrics: ServingMetrics = app.state.serving_metrics
    async with open_service(settings, metrics) as service:
        app.state.serving = service
        async with stream.streaming(app, settings, service.feed, metrics):
            yield


async def _bad_cursor(request: Request, error: Exception) -> Response:
    field = problems.FieldError("/query/cursor", str(error))
    return problems.response(request, 400, "The cursor is not valid.", [field])


async def _ranking_gone(request: Request, error: Exception) -> Response:
    return problems.response(
        request, 410, "The ranking that this cursor continues is kept no longer: start again."
    )


async def _records_unavailable(request: Request, error: Exception) -> Response:
    logger.warning("The records do not answer: %s", error)
    return problems.response(
        request, 503, "The records cannot be read at the moment.", headers={"Retry-After": "1"}
    )


async def _redis_unavailable(request: Request, error: Exception) -> Response:
    logger.warning("A request could not be answered: %s", error)
    return problems.response(
        request, 503, "The timelines cannot be read at the moment.", headers={"Retry-After": "1"}
    )
