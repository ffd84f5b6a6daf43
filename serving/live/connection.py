"""One stream of server-sent events: a bounded queue, and what its client knows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

import orjson

from ingestion.snowflake import TIME_SHIFT
from timelines.entry import Ids

Ending = Literal["slow", "gone", "age", "error", "shutdown"]
EventName = Literal["ready", "tweet", "counts", "reload", "end"]

KEEP_ALIVE = b":\n\n"
OVERLAP = 60_000 << TIME_SHIFT
"""How much younger than the newest one an appearance may be that still comes: a minute of ids."""


def frame(event: EventName, data: Any, event_id: int | None = None) -> bytes:
    """An event; with an id the client resumes after it."""
    head = f"event: {event}\n" if event_id is None else f"event: {event}\nid: {event_id}\n"
    return head.encode() + b"data: " + orjson.dumps(data) + b"\n\n"


class Connection:
    """A queue of at most ``room`` bytes, or one offer, between the hub and one client.

    ``since`` is the appearance after which the client resumes, None where it begins with what comes.
    Appearances do not arrive in the order of their ids, so those of the last minute are known one by one.
    """

    __slots__ = (
        "_known",
        "_room",
        "_size",
        "_waiting",
        "_wake",
        "begun",
        "ending",
        "ends_at",
        "newest",
        "since",
        "told_at",
    )

    def __init__(self, since: int | None, room: int, now: float, ends_at: float) -> None:
        self.since = since
        self.begun = False
        self.newest = since or 0
        self.ending: Ending | None = None
        self.told_at = now
        self.ends_at = ends_at
        self._known: set[int] = set()
        self._room = room
        self._size = 0
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()

    def begin(self, ids: Ids) -> None:
        """Take what is there, newest first, as known: all of it, or up to ``since``."""
        if self.since is None and len(ids):
            self.newest = int(ids[0])
        floor = self.newest - OVERLAP
        self._known = set(ids[(ids > floor) & (ids <= self.newest)].tolist())
        self.begun = True

    def fresh(self, ids: Ids) -> list[int]:
        """What of ``ids`` the client has not been told, oldest first."""
        young = ids[ids > self.newest - OVERLAP].tolist()
        return sorted(appearance for appearance in young if appearance not in self._known)

    def learn(self, ids: Iterable[int]) -> int:
        """Tell none of these again; answers from where the client may resume."""
        self._known.update(ids)
        self.newest = max(self.newest, *self._known) if self._known else self.newest
        floor = self.newest - OVERLAP
        self._known = {appearance for appearance in self._known if appearance > floor}
        return self.newest

    def offer(self, content: bytes, now: float) -> bool:
        """Queue frames; a client that left no room is dropped, and its queue with it."""
        if self.ending is not None:
            return False
        if self._waiting and self._size + len(content) > self._room:
            self._waiting.clear()
            self.end("slow")
            return False
        self._waiting.append(content)
        self._size += len(content)
        self.told_at = now
        self._wake.set()
        return True

    @property
    def idle(self) -> bool:
        """Whether all that was queued is on its way."""
        return not self._waiting

    def end(self, ending: Ending) -> None:
        """Have the stream end after what is queued; the first reason counts."""
        if self.ending is None:
            self.ending = ending
        self._wake.set()

    async def next(self) -> bytes | None:
        """All that is queued, once there is something; None at the end."""
        while not self._waiting:
            if self.ending is not None:
                return None
            self._wake.clear()
            await self._wake.wait()
        content = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return content
