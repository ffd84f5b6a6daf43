"""Stored timelines: a 32-byte header, then cells of entries.

| header bytes | field |
|---|---|
| 0-3 | magic ``TLIN`` |
| 4 | layout version 2 |
| 5 | state: 0 = collects what is pushed but must be completed before it answers, 1 = complete |
| 6-7 | how many entries the sorted cells hold |
| 8-11 | generation: grows whenever the stored cells are rewritten |
| 12-15 | used: how many cells hold entries |
| 16-19 | sorted: how many cells from the start ascend by appearance id, each id once |
| 20-23 | capacity: used and free cells |
| 24-31 | floor: every entry that was ever stored with a larger appearance id is still there |

Entries at or below the floor may be there or not, so they are not read. An outbox is one such string with
room at its end. A home timeline is one without, and a tail that takes what is delivered: 16 bytes (magic
``TAIL``, version, 3 zeros, the generation of the timeline that it belongs to, 4 zeros), then cells as they
came. A string that the server lets grow takes twice its size: so only the tail grows, and an outbox has its
room beforehand. Where the tail is missing or of another generation, there is no timeline.

Version 1 (32 bytes an entry, no room, no tail) is read in outboxes, which the server's functions rewrite when
they next touch them; a home timeline of version 1 counts as missing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from timelines.cells import CELL_BYTES, unpack_cells
from timelines.entry import WITHDRAWN, Entries, Ids, unpack

HEADER_BYTES = 32
_HEADER = struct.Struct(">4sBBHIIIIQ")
_HEADER_V1 = struct.Struct(">4sBBHIIQQ")
_TAIL = struct.Struct(">4sBBHII")
HEADER_DTYPE = np.dtype(
    {"names": ["used", "floor"], "formats": [">u4", ">u8"], "offsets": [12, 24], "itemsize": HEADER_BYTES}
)
"""What many headers tell at once."""
_CHARACTERS = b"0123456789:"
MAGIC, TAIL_MAGIC, VERSION = b"TLIN", b"TAIL", 2


class TimelineFormatError(ValueError):
    """The stored bytes are not a timeline of a version this build knows."""


@dataclass(frozen=True)
class Timeline:
    """One stored timeline; ``appended`` is how many cells its tail had when it was read."""

    complete: bool
    generation: int
    floor: int
    entries: Entries
    appended: int = 0


@dataclass(frozen=True)
class Header:
    """The fields of a header of layout version 2."""

    complete: bool
    sorted_entries: int = 0
    generation: int = 0
    used: int = 0
    sorted_cells: int = 0
    capacity: int = 0
    floor: int = 0

    def pack(self) -> bytes:
        return _HEADER.pack(
            MAGIC,
            VERSION,
            int(self.complete),
            self.sorted_entries,
            self.generation % 2**32,
            self.used,
            self.sorted_cells,
            self.capacity,
            self.floor,
        )


def read_header(stored: bytes) -> Header:
    """The header in front of ``stored``.

    Raises:
        TimelineFormatError: foreign bytes, or another layout version.
    """
    version = _version(stored)
    if version != VERSION:
        raise TimelineFormatError(f"Timeline layout version {version} is not {VERSION}.")
    _, _, state, sorted_entries, *numbers = _HEADER.unpack_from(stored)
    return Header(bool(state), sorted_entries, *numbers)


def decode(stored: bytes) -> Timeline:
    """The outbox in ``stored``.

    Raises:
        TimelineFormatError: foreign bytes, or a layout version that this build does not read.
    """
    if _version(stored) == 1:
        _, _, state, _, generation, _, floor, _ = _HEADER_V1.unpack_from(stored)
        return Timeline(bool(state), generation, floor, unpack(memoryview(stored)[HEADER_BYTES:]))
    head = read_header(stored)
    cells = memoryview(stored)[HEADER_BYTES : HEADER_BYTES + head.used * CELL_BYTES]
    return Timeline(head.complete, head.generation, head.floor, unpack_cells(cells))


def decode_home(settled: bytes | None, tail: bytes | None) -> Timeline | None:
    """The home timeline in its two strings; None where one is missing or they do not belong together.

    Raises:
        TimelineFormatError: foreign bytes, or a layout version that this build does not read.
    """
    if settled is None or tail is None or _version(settled) == 1:
        return None
    head = read_header(settled)
    if tail[:4] != TAIL_MAGIC or tail[8:12] != settled[8:12]:
        return None
    entries = unpack_cells(settled[HEADER_BYTES:] + tail[CELL_BYTES:])
    appended = len(tail) // CELL_BYTES - 1
    return Timeline(head.complete, head.generation, head.floor, entries, appended)


def tail_head(generation: int) -> bytes:
    """What a tail begins with."""
    return _TAIL.pack(TAIL_MAGIC, VERSION, 0, 0, generation % 2**32, 0)


def spread(slack: int, ones: int, tens: int) -> int:
    """How many cells are appended before the next settling, from half to one and a half times ``slack``.

    The last two characters of the owner's id decide, so that timelines that fill in step are not all settled
    in one call; ``functions.lua`` does the same.
    """
    return max(1, slack * (50 + (ones * 10 + tens) % 100) // 100)


def tail_limits(owners: Ids, slack: int) -> npt.NDArray[np.int64]:
    """The bytes beyond which the tails of these owners, int64 [n], are due to be settled: int64 [n]."""
    cells = np.array([[spread(slack, ones, tens) for tens in _CHARACTERS] for ones in _CHARACTERS[:10]])
    tens = np.where(owners >= 10, owners // 10 % 10, 10)  # before an id of one digit stands a colon
    limits: npt.NDArray[np.int64] = CELL_BYTES * (1 + cells[owners % 10, tens])
    return limits


def _version(stored: bytes) -> int:
    if len(stored) < HEADER_BYTES or stored[:4] != MAGIC:
        raise TimelineFormatError("The stored bytes are not a timeline.")
    if stored[4] not in (1, VERSION):
        raise TimelineFormatError(
            f"Timeline layout version {stored[4]} is not one of 1 and {VERSION}, which this build reads."
        )
    return stored[4]


def newest(entries: Entries, length: int | None = None) -> Entries:
    """The newest entries, by appearance id descending, each id once; a withdrawn copy wins."""
    ids = np.ascontiguousarray(entries["appearance"])
    order = np.argsort(ids, kind="stable")[::-1]  # quick, as what comes here are a few sorted runs
    ids = ids[order]
    if not (ids[1:] == ids[:-1]).any():
        unique: Entries = entries.take(order[:length])
        return unique
    withdrawn = (entries["flags"] & WITHDRAWN) != 0
    order = np.lexsort((entries["pulled"], withdrawn, entries["appearance"]))[::-1]
    ranked = entries[order]
    first = np.ones(len(ranked), dtype=bool)
    first[1:] = ranked["appearance"][1:] != ranked["appearance"][:-1]
    chosen: Entries = ranked[first][:length]
    return chosen
