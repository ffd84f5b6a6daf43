"""Loads the server-side functions of the timeline store (``functions.lua``) into a server."""

from __future__ import annotations

from importlib import resources
from typing import Any


def source() -> str:
    """The function library's source."""
    return resources.files("timelines").joinpath("functions.lua").read_text(encoding="utf-8")


def load(client: Any) -> None:
    """Load or replace the library through a synchronous redis-py client."""
    client.function_load(source(), replace=True)


async def load_async(client: Any) -> None:
    """Load or replace the library through an asyncio redis-py client."""
    await client.function_load(source(), replace=True)
