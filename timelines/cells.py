"""The stored form of entries: cells of 16 bytes, big-endian, layout version 2.

| bytes | first cell | second cell |
|---|---|---|
| 0-7 | appearance: id of the tweet or retweet that makes the entry appear | original: id of the tweet shown |
| 8 | flags, below 128 | 128 |
| 9-15 | author: who made it appear | original author |

A tweet of the author's own is one cell, its original being itself; a retweet is two. Version 1 stored 32
bytes an entry, the form of :mod:`timelines.entry`, whose halves are these two cells but for the mark.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from timelines.entry import AUTHOR_BITS, ENTRY_DTYPE, Entries, EntryError

CELL_BYTES = 16
SECOND = 128
_ACCOUNT = np.uint64((1 << AUTHOR_BITS) - 1)
_MARK = np.uint64(SECOND << AUTHOR_BITS)
_CELL = np.dtype(">u8")


def pack_cells(unpacked: Entries) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The stored bytes in the order given, and where each entry starts, in bytes: int64 [n + 1].

    Raises:
        EntryError: flags of 128 and more, which mark second cells.
    """
    if len(unpacked) and int(unpacked["flags"].max()) >= SECOND:
        raise EntryError("Entry flags of 128 and more mark second cells.")
    appearance, author = unpacked["appearance"], unpacked["author"]
    original, original_author = unpacked["original"], unpacked["original_author"]
    long = (original != appearance) | (original_author != author)
    starts = np.zeros(len(unpacked) + 1, dtype=np.int64)
    np.cumsum(1 + long, out=starts[1:])
    cells = np.empty((int(starts[-1]), 2), dtype=_CELL)
    heads = starts[:-1]
    cells[heads, 0] = appearance
    cells[heads, 1] = (unpacked["flags"].astype(np.uint64) << np.uint64(AUTHOR_BITS)) | author.astype(
        np.uint64
    )
    if long.any():
        seconds = heads[long] + 1
        cells[seconds, 0] = original[long]
        cells[seconds, 1] = original_author[long].astype(np.uint64) | _MARK
    return cells.tobytes(), starts * CELL_BYTES


def unpack_cells(stored: bytes | memoryview) -> Entries:
    """The entries in ``stored``, in stored order.

    Raises:
        EntryError: the bytes are not whole cells, or begin with a second cell.
    """
    if len(stored) % CELL_BYTES:
        raise EntryError(f"{len(stored)} bytes are not a whole number of {CELL_BYTES}-byte cells.")
    heads = np.flatnonzero(_flags(stored) < SECOND)
    if stored and not (len(heads) and heads[0] == 0):
        raise EntryError("The stored bytes begin within an entry.")
    return _entries_at(stored, heads)


def unpack_newest(stored: bytes, length: int) -> Entries:
    """The ``length`` entries with the largest ids, descending, of entries in any order and each id once."""
    heads = np.flatnonzero(_flags(stored) < SECOND)
    ids = np.frombuffer(stored, dtype=_CELL)[::2][heads].astype(np.int64)
    return _entries_at(stored, heads[np.argsort(ids, kind="stable")[::-1][:length]])


def _flags(stored: bytes | memoryview) -> npt.NDArray[np.uint8]:
    return np.frombuffer(stored, dtype=np.uint8)[8::CELL_BYTES]


def _entries_at(stored: bytes | memoryview, heads: npt.NDArray[np.intp]) -> Entries:
    """The entries that begin in these cells."""
    found: Entries = np.zeros(len(heads), dtype=ENTRY_DTYPE)
    if not len(heads):
        return found
    cells = np.frombuffer(stored, dtype=_CELL).reshape(-1, 2)
    first = cells.take(heads, axis=0).astype(np.uint64)
    after = cells.take(heads + 1, axis=0, mode="clip").astype(np.uint64)
    long = after[:, 1] >= _MARK
    found["appearance"] = first[:, 0]
    found["author"] = first[:, 1] & _ACCOUNT
    found["flags"] = first[:, 1] >> np.uint64(AUTHOR_BITS)
    found["original"] = np.where(long, after[:, 0], first[:, 0])
    found["original_author"] = np.where(long, after[:, 1], first[:, 1]) & _ACCOUNT
    return found
