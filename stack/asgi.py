"""The write API and the ranking API as one app behind one address; elsewhere they are two deployments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ingestion.api import app as writes
from ingestion.api import problems
from ingestion.api.settings import WriteSettings
from serving import app as ranking
from serving.settings import ServingSettings


def build(write_settings: WriteSettings, serving_settings: ServingSettings) -> FastAPI:
    """Both sets of routes; both services live as long as the app."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with ranking.running(app, serving_settings), writes.running(app, write_settings):
            yield

    app = FastAPI(title="Tideline API", version="1", lifespan=lifespan)
    problems.install(app)
    ranking.install(app)
    writes.install(app, write_settings)
    return app


def create_app() -> FastAPI:
    """What uvicorn calls in each worker process."""
    return build(WriteSettings(), ServingSettings())
