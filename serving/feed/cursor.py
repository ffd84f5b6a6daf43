"""Page cursors: opaque, signed, bound to the reader they were made for.

A cursor is base64url of a packed record and the first 16 bytes of its HMAC-SHA256.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from serving.feed.query import EVERYTHING
from serving.shapes import Reason

KEY_BYTES = 32
MAC_BYTES = 16
_CHRONOLOGICAL = struct.Struct(">BQQIB")
_RANKED = struct.Struct(">B16sIQ")
_LIST = struct.Struct(">BBQQQ")
_CHRONOLOGICAL_KIND, _LIST_KIND, _RANKED_KIND = 1, 3, 4
ListName = Literal["followers", "following", "tweets", "replies"]
LIST_NAMES: tuple[ListName, ...] = get_args(ListName)
REASONS: tuple[Reason, ...] = get_args(Reason)


class CursorError(ValueError):
    """The cursor was not made by this service, or not for this reader."""

    def __init__(self) -> None:
        super().__init__("The cursor is not one that this service gave to this reader.")


@dataclass(frozen=True, slots=True)
class ChronologicalCursor:
    """Appearance ids: the page continues below ``last``, leaving out what came after ``top``.

    Without ``top`` a new retweet of a tweet not reached yet would lift it above the reader's place, and
    scrolling would skip it. ``shown`` items came on earlier pages; ``reason`` is why the scrolling is
    chronological.
    """

    top: int
    last: int
    shown: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class RankedCursor:
    """The page continues at ``offset`` of the ranking kept under ``request_id`` (32 hex digits).

    After the last ranked item it goes on with what was not ranked, newest first, ``below`` an appearance.
    """

    request_id: str
    offset: int
    below: int = EVERYTHING


@dataclass(frozen=True, slots=True)
class ListCursor:
    """The list ``name`` of a user or tweet continues after the place (``first``, ``second``) of its order."""

    name: ListName
    subject: int
    first: int
    second: int


Cursor = ChronologicalCursor | RankedCursor | ListCursor


@dataclass(frozen=True)
class CursorSigner:
    """Writes and reads cursors with one key."""

    key: bytes

    def write(self, cursor: Cursor, reader: int) -> str:
        if isinstance(cursor, ChronologicalCursor):
            record = _CHRONOLOGICAL.pack(
                _CHRONOLOGICAL_KIND, cursor.top, cursor.last, cursor.shown, REASONS.index(cursor.reason)
            )
        elif isinstance(cursor, ListCursor):
            record = _LIST.pack(
                _LIST_KIND, LIST_NAMES.index(cursor.name), cursor.subject, cursor.first, cursor.second
            )
        else:
            record = _RANKED.pack(_RANKED_KIND, bytes.fromhex(cursor.request_id), cursor.offset, cursor.below)
        return base64.urlsafe_b64encode(record + self._mac(record, reader)).rstrip(b"=").decode()

    def text_of(self, cursor: Cursor | None, reader: int) -> str | None:
        """The text of a cursor, where there is one."""
        return None if cursor is None else self.write(cursor, reader)

    def read(self, text: str, reader: int) -> Cursor:
        """
        Raises:
            CursorError: malformed, forged, or made for another reader.
        """
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (binascii.Error, UnicodeEncodeError, ValueError):
            raise CursorError from None
        record, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(record, reader)):
            raise CursorError
        if record[0] == _CHRONOLOGICAL_KIND:
            _, top, last, shown, reason = _CHRONOLOGICAL.unpack(record)
            return ChronologicalCursor(top, last, shown, REASONS[reason])
        if record[0] == _LIST_KIND:
            _, name, subject, first, second = _LIST.unpack(record)
            return ListCursor(LIST_NAMES[name], subject, first, second)
        if record[0] != _RANKED_KIND:  # of an older build
            raise CursorError
        _, request, offset, below = _RANKED.unpack(record)
        return RankedCursor(request.hex(), offset, below)

    def _mac(self, record: bytes, reader: int) -> bytes:
        return hmac.new(self.key, b"%d:" % reader + record, hashlib.sha256).digest()[:MAC_BYTES]


def load_key(path: Path) -> bytes:
    """The key in ``path``; made there, readable by the owner only, if there is none.

    Workers that start at once agree: the first complete file wins.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()
