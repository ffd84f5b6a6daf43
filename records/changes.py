"""What a transaction of the records changed, as plain values; each has its version and its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EdgeKind = Literal["follow", "mute", "block"]


@dataclass(frozen=True)
class EdgeChange:
    """``user`` follows, mutes or blocks ``target`` since ``ts`` (``active``), or does so no longer."""

    kind: EdgeKind
    user: int
    target: int
    active: bool
    ts: int
    event_id: str


@dataclass(frozen=True)
class WordsChange:
    """All the words a user mutes since ``ts``."""

    user: int
    words: tuple[str, ...]
    ts: int
    event_id: str


@dataclass(frozen=True)
class AccountChange:
    """An account was registered; ``created_at`` and ``ts`` in milliseconds UTC."""

    user_id: int
    handle: str
    display_name: str
    place: str | None
    created_at: int
    ts: int
    event_id: str


Change = EdgeChange | WordsChange | AccountChange
