"""The timeline entry, and its packed form between jobs: 32 bytes, big-endian.

| bytes | field |
|---|---|
| 0-7 | appearance: id of the tweet, or of the retweet, that makes the entry appear |
| 8 | flags: 1 retweet, 2 reply, 4 followers only, 8 withdrawn |
| 9-15 | author: who made it appear |
| 16-23 | original: id of the tweet shown (a tweet: itself) |
| 24-31 | original author |

A withdrawn entry marks a retweet that was taken back. It keeps its place among the newest entries, so that
what is trimmed never depends on the order in which the two events arrived, and it is hidden at read.
How the store keeps entries is :mod:`timelines.cells`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Entries = npt.NDArray[np.void]
Ids = npt.NDArray[np.int64]

ENTRY_BYTES = 32
RETWEET, REPLY, FOLLOWERS_ONLY, WITHDRAWN = 1, 2, 4, 8

AUTHOR_BITS = 56
AUTHOR_LIMIT = 1 << AUTHOR_BITS
"""Ids of accounts are below it."""
_AUTHOR_MASK = AUTHOR_LIMIT - 1
ID_LIMIT = 0x7FF0 << 48
"""The store compares ids as doubles of the same bytes, of which the larger ones are no numbers."""

_PACKED = np.dtype([("appearance", ">u8"), ("who", ">u8"), ("original", ">u8"), ("original_author", ">u8")])

ENTRY_DTYPE = np.dtype(
    [
        ("appearance", "<i8"),
        ("author", "<i8"),
        ("original", "<i8"),
        ("original_author", "<i8"),
        ("flags", "u1"),
        ("pulled", "?"),
    ]
)
"""Unpacked entries; ``pulled`` says at read that the entry came from an outbox and is never stored."""


class EntryError(ValueError):
    """An id does not fit the entry, or the bytes are not whole entries."""


def entry(appearance: int, author: int, original: int, original_author: int, flags: int = 0) -> Entries:
    """An array of one entry.

    Raises:
        EntryError: an id is negative or too large.
    """
    return entries([(appearance, author, original, original_author, flags)])


def entries(rows: Sequence[tuple[int, int, int, int, int]]) -> Entries:
    """Entries from (appearance, author, original, original author, flags) rows.

    Raises:
        EntryError: an id is negative or too large.
    """
    for appearance, author, original, original_author, flags in rows:
        fits = 0 <= author < AUTHOR_LIMIT and 0 <= original_author < AUTHOR_LIMIT and 0 <= flags < 128
        if not (fits and 0 < appearance < ID_LIMIT and 0 < original < ID_LIMIT):
            raise EntryError(f"Entry {appearance} by {author} of {original} does not fit the packed layout.")
    return np.array([(*row, False) for row in rows], dtype=ENTRY_DTYPE)


def empty() -> Entries:
    return np.empty(0, dtype=ENTRY_DTYPE)


def pack(unpacked: Entries) -> bytes:
    """The stored bytes, 32 per entry, in the order given."""
    return pack_array(unpacked).tobytes()


def pack_array(unpacked: Entries) -> Entries:
    """The stored form as an array, one 32-byte item per entry."""
    packed = np.empty(len(unpacked), dtype=_PACKED)
    packed["appearance"] = unpacked["appearance"]
    flags = unpacked["flags"].astype(np.uint64) << np.uint64(AUTHOR_BITS)
    packed["who"] = flags | unpacked["author"].astype(np.uint64)
    packed["original"] = unpacked["original"]
    packed["original_author"] = unpacked["original_author"]
    return packed


def unpack(stored: bytes | memoryview) -> Entries:
    """The entries in ``stored``, in stored order.

    Raises:
        EntryError: the length is not a whole number of entries.
    """
    if len(stored) % ENTRY_BYTES:
        raise EntryError(f"{len(stored)} bytes are not a whole number of {ENTRY_BYTES}-byte entries.")
    packed = np.frombuffer(stored, dtype=_PACKED)
    unpacked = np.empty(len(packed), dtype=ENTRY_DTYPE)
    who = packed["who"].astype(np.uint64)
    unpacked["appearance"] = packed["appearance"]
    unpacked["author"] = (who & np.uint64(_AUTHOR_MASK)).astype(np.int64)
    unpacked["original"] = packed["original"]
    unpacked["original_author"] = packed["original_author"]
    unpacked["flags"] = (who >> np.uint64(AUTHOR_BITS)).astype(np.uint8)
    unpacked["pulled"] = False
    return unpacked
