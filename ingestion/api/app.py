"""The write API as an ASGI app, alone or as a part of one app with the ranking API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ingestion.api import auth, engagements, problems, relations, reports, sign_in, tweets
from ingestion.api.service import open_service
from ingestion.api.settings import WriteSettings


def create_app(settings: WriteSettings) -> FastAPI:
    """The write API alone."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, settings):
            yield

    app = FastAPI(title="Tideline write API", version="1", lifespan=lifespan)
    problems.install(app)
    install(app, settings)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def from_environment() -> FastAPI:
    """The write API alone, as uvicorn's ``--factory`` starts it."""
    return create_app(WriteSettings())


def install(app: FastAPI, settings: WriteSettings) -> None:
    """Adds the routes and the check of tokens to an app; its lifespan has to enter ``running``.

    Raises:
        SigningKeyError: the key files cannot be read or written.
    """
    auth.install(app, settings.security)
    for module in (tweets, engagements, relations, reports):
        app.include_router(module.router)
    if settings.security.dev_login:
        app.include_router(sign_in.router)


@asynccontextmanager
async def running(app: FastAPI, settings: WriteSettings) -> AsyncIterator[None]:
    """Holds the service open for the app's life."""
    async with open_service(settings) as service:
        app.state.writes = service
        yield
