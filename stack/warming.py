"""Reads home timelines in the background, so that those that are missing are there when readers come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingestion.whole_files import write_whole
from pipelines.settings import StreamSettings
from stack.errors import UserError
from timelines.client import open_async_client
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.warming import shorten, warm

Readers = Callable[[Any, Keyspace], Awaitable[list[int]]]
"""The readers to be warmed, ascending, asked of an asyncio client."""
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


@dataclass(frozen=True)
class Run:
    """One pass over readers, at most ``rate`` a second; ``place`` is the file that remembers how far it came.

    ``keep_ms``: how long timelines that nobody reads stay; None for as long as after a read.
    """

    command: str
    place: Path
    rate: float
    keep_ms: int | None = None

    def finish(self, settings: StreamSettings, readers: Readers) -> dict[str, float]:
        """Go on from where an interrupted run stopped; how many readers there were, rebuilt, in which time.

        Raises:
            UserError: the store stopped answering.
        """
        with Progress(*COLUMNS, console=Console(stderr=True)) as bar:
            try:
                return asyncio.run(self._run(settings, readers, bar))
            except RedisError as error:
                raise UserError(
                    f"The store stopped answering: {error}. Run `tideline {self.command}` again to go on."
                ) from error

    async def _run(self, settings: StreamSettings, readers: Readers, bar: Progress) -> dict[str, float]:
        keys = Keyspace.of(settings)
        after = json.loads(self.place.read_text())["after"] if self.place.exists() else -1
        together = max(1, min(16, int(self.rate)))
        client = open_async_client(settings.redis, timeout_s=30, connections=together + 1)
        name = self.command.partition(" ")[0]
        try:
            everybody = await readers(client, keys)
            todo = [reader for reader in everybody if reader > after]
            task = bar.add_task(name, total=len(everybody), completed=len(everybody) - len(todo))

            async def read(reader: int) -> bool:
                rebuilt = (await home.read(reader)).rebuilt
                if rebuilt and self.keep_ms is not None:
                    await shorten(client, keys, reader, self.keep_ms)
                return rebuilt

            def passed(reader: int, rebuilt: int) -> None:
                write_whole(self.place, json.dumps({"after": reader}))
                bar.update(task, advance=together, description=f"{name}: {rebuilt} rebuilt")

            started = time.monotonic()
            home = HomeReader(client, keys, settings.timelines)
            rebuilt = await warm(read, todo, self.rate, together, passed, time.monotonic)
            seconds = time.monotonic() - started
        finally:
            await client.aclose()
        self.place.unlink(missing_ok=True)
        return {"readers": len(todo), "rebuilt": rebuilt, "seconds": round(seconds, 3)}
