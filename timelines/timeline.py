"""A stored timeline: a 32-byte header, then packed entries in the order in which they were appended.

| header bytes | field |
|---|---|
| 0-3 | magic ``TLIN`` |
| 4 | layout version 1 |
| 5 | state: 0 = collects what is pushed but must be completed before it answers, 1 = complete |
| 6-7 | zero |
| 8-11 | generation: grows whenever the stored bytes are rewritten |
| 12-15 | how many entries from the start are known to ascend by appearance id |
| 16-23 | floor: every entry that was ever stored with a larger appearance id is still there |
| 24-31 | zero |

Entries at or below the floor may be there or not, so they are not read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from timelines.entry import WITHDRAWN, Entries, unpack

HEADER_BYTES = 32
_HEADER = struct.Struct(">4sBBHIIQQ")
MAGIC, VERSION = b"TLIN", 1


class TimelineFormatError(ValueError):
    """The stored bytes are not a timeline of a version this build knows."""


@dataclass(frozen=True)
class Timeline:
    """One stored timeline; ``stored_bytes`` is its length when it was read."""

    complete: bool
    generation: int
    floor: int
    entries: Entries
    stored_bytes: int


def header(*, complete: bool, generation: int = 0, ordered: int = 0, floor: int = 0) -> bytes:
    """The header of a timeline."""
    return _HEADER.pack(MAGIC, VERSION, int(complete), 0, generation, ordered, floor, 0)


def decode(stored: bytes) -> Timeline:
    """The timeline in ``stored``.

    Raises:
        TimelineFormatError: foreign bytes, or another layout version.
    """
    if len(stored) < HEADER_BYTES or stored[:4] != MAGIC:
        raise TimelineFormatError("The stored bytes are not a timeline.")
    _, version, state, _, generation, _, floor, _ = _HEADER.unpack_from(stored)
    if version != VERSION:
        raise TimelineFormatError(
            f"Timeline layout version {version} is not {VERSION}, which this build reads."
        )
    return Timeline(bool(state), generation, floor, unpack(memoryview(stored)[HEADER_BYTES:]), len(stored))


def newest(entries: Entries, length: int | None = None) -> Entries:
    """The newest entries, by appearance id descending, each id once; a withdrawn copy wins."""
    withdrawn = (entries["flags"] & WITHDRAWN) != 0
    order = np.lexsort((entries["pulled"], withdrawn, entries["appearance"]))[::-1]
    ranked = entries[order]
    first = np.ones(len(ranked), dtype=bool)
    first[1:] = ranked["appearance"][1:] != ranked["appearance"][:-1]
    chosen: Entries = ranked[first][:length]
    return chosen
