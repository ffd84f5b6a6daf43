"""The textbook feed over HTTP: FastAPI, one synchronous route, pydantic in and out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import redis
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic_settings import BaseSettings, SettingsConfigDict

from benchmarks.peers.textbook.feature_store import open_stock_store
from benchmarks.peers.textbook.feed import TextbookFeed
from benchmarks.peers.textbook.model import Model
from benchmarks.peers.textbook.shapes import FeedPage
from ingestion.settings import TidelineSettings
from ingestion.tokens import InvalidTokenError, load_keys, user_of
from serving.feed.policy import default_policy


class TextbookSettings(BaseSettings):
    """``threads`` of LightGBM; its default without."""

    model_config = SettingsConfigDict(env_prefix="TEXTBOOK_")

    redis_url: str = "redis://127.0.0.1:6379/0"
    registry: Path = Path("registry.db")
    bundle: Path = Path("bundle")
    threads: int | None = None


def from_environment() -> FastAPI:
    """As uvicorn's ``--factory`` starts it."""
    settings = TextbookSettings()
    security = TidelineSettings().security
    keys = load_keys(security)
    feed = TextbookFeed(
        redis.Redis.from_url(settings.redis_url, decode_responses=True),
        open_stock_store(settings.registry, settings.redis_url),
        Model(settings.bundle, settings.threads),
        default_policy(),
    )
    app = FastAPI(title="Textbook feed")

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/feed")
    def page(
        credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> FeedPage:
        try:
            reader = user_of(security, keys, credentials.credentials)
        except InvalidTokenError as error:
            raise HTTPException(401, str(error)) from error
        return feed.page(reader, limit, datetime.fromtimestamp(time.time(), UTC))

    return app
