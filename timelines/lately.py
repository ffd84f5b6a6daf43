"""What a reader was served and has seen lately: packed records in two strings each, which expire.

A string holds what was noted within one stretch of time; the current and the one before are read, so that a
record is known for one stretch at least and for two at most. Losing them shows something again, no more. They
are the namespace's own: no projection of the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timelines.durations import HOUR_MS
from timelines.entry import Ids
from timelines.keys import Keyspace

NEWEST = 4096
"""How many records of one stretch are read at most."""

Records = NDArray[np.void]


@dataclass(frozen=True)
class Kind:
    """One kind of records: its key, the record's form, and the stretch of one string."""

    name: str
    form: np.dtype[np.void]
    stretch_ms: int


SERVED = Kind(
    "served",
    np.dtype([("original", "<i8"), ("author", "<i8"), ("topics", "<i8", (2,)), ("at_ms", "<i8")]),
    HOUR_MS,
)
"""Served items: original and its author, up to two topics (-1: none), and when."""
SEEN = Kind("seen", np.dtype([("original", "<i8"), ("at_ms", "<i8")]), 72 * HOUR_MS)


def note(pipe: Any, keys: Keyspace, kind: Kind, reader: int, records: Records, now_ms: int) -> None:
    """Queue records of ``kind.form``; one command. A string keeps twice as many as are read at most."""
    key = keys.key(kind.name, reader, now_ms // kind.stretch_ms)
    newest = NEWEST * kind.form.itemsize
    pipe.fcall("append_newest", 1, key, records.tobytes(), newest, 2 * kind.stretch_ms)


def note_seen(pipe: Any, keys: Keyspace, reader: int, originals: Ids, now_ms: int) -> None:
    """Queue the originals that a reader has just seen."""
    records = np.empty(len(originals), dtype=SEEN.form)
    records["original"], records["at_ms"] = originals, now_ms
    note(pipe, keys, SEEN, reader, records, now_ms)


def queue(pipe: Any, keys: Keyspace, kind: Kind, reader: int, now_ms: int) -> None:
    """Queue the read of what was noted lately; its two answers are for :func:`decode`."""
    stretch = now_ms // kind.stretch_ms
    for number in (stretch - 1, stretch):
        pipe.getrange(keys.key(kind.name, reader, number), -NEWEST * kind.form.itemsize, -1)


def decode(kind: Kind, answers: list[bytes]) -> Records:
    """The records, oldest first; the torn end of a string is left out."""
    size = kind.form.itemsize
    whole = [stored[: len(stored) - len(stored) % size] for stored in answers]
    return np.frombuffer(b"".join(whole), dtype=kind.form)
