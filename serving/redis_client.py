"""The Redis client of the ranking service: bounded in connections and in every wait."""

from __future__ import annotations

from typing import Any

from serving.settings import ServingSettings
from timelines.client import open_async_client


def open_redis(settings: ServingSettings) -> Any:
    """A client that does not decode; it connects on first use."""
    section = settings.serving
    return open_async_client(
        settings.redis,
        timeout_s=section.redis_timeout_ms / 1000,
        connections=section.redis_connections,
        wait_s=section.redis_wait_ms / 1000,
    )
