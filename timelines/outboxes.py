"""The newest entries of many outboxes, read from their ends: one pipeline per store node, seldom a second.

Each outbox first gives a few of its newest entries. Where even the oldest of these is among the newest of
all, it may hold more, and it alone is asked again, for everything (the threshold algorithm for the top k of
sorted lists).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from timelines import entry
from timelines.cells import CELL_BYTES, unpack_newest
from timelines.entry import Entries, Ids
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings
from timelines.timeline import HEADER_BYTES, HEADER_DTYPE

FEWEST_CELLS = 32
SHARE = 3
"""How many times its equal share of the answer an outbox gives at first."""
KEYS_PER_CALL = 500
HEADER_CELLS = HEADER_BYTES // CELL_BYTES


@dataclass(frozen=True)
class Newest:
    """``entries``: ENTRY_DTYPE, newest first; every entry of the outboxes above ``floor`` is among them."""

    entries: Entries
    floor: int


async def newest_of(redis: Any, keys: Keyspace, settings: TimelineSettings, authors: Ids) -> Newest:
    """The newest ``settings.length`` entries of these authors' outboxes, withdrawn ones too.

    Raises:
        redis.exceptions.RedisError: the store did not answer.
    """
    length = settings.length
    if not len(authors):
        return Newest(entry.empty(), 0)
    few = min(max(FEWEST_CELLS, SHARE * length // len(authors)), 2 * length)
    boxes = await _ends(redis, keys, settings, authors, few)
    found, cutoff = boxes.newest(length)
    deeper = boxes.may_hold_more(cutoff)
    if len(deeper):
        whole = await _ends(redis, keys, settings, deeper, 2 * length)
        boxes = boxes.without(deeper).and_those(whole)
        found, cutoff = boxes.newest(length)
    return Newest(found, max(boxes.floor(), cutoff - 1))


@dataclass(frozen=True)
class _Ends:
    """Of each outbox that exists its header and its newest entries."""

    authors: list[int]
    stored: list[bytes]

    def newest(self, length: int) -> tuple[Entries, int]:
        """The newest entries, and the smallest id among them when there may be others below, else 0."""
        found = unpack_newest(b"".join([box[HEADER_BYTES:] for box in self.stored]), length)
        return found, int(found["appearance"][-1]) if len(found) == length else 0

    def may_hold_more(self, cutoff: int) -> Ids:
        """The authors whose outboxes did not give everything, and nothing as old as the cutoff."""
        cells = np.array([len(box) for box in self.stored], dtype=np.int64) // CELL_BYTES - HEADER_CELLS
        partial = cells < self._headers()["used"]
        if not partial.any():
            return np.empty(0, dtype=np.int64)
        oldest = np.frombuffer(b"".join([box[HEADER_BYTES:][:8] for box in self.stored]), dtype=">u8")
        return np.array(self.authors, dtype=np.int64)[partial & (oldest > cutoff)]

    def floor(self) -> int:
        """The largest id that any of the outboxes dropped."""
        return int(self._headers()["floor"].max(initial=0))

    def without(self, authors: Ids) -> _Ends:
        gone = set(authors.tolist())
        kept = [at for at, author in enumerate(self.authors) if author not in gone]
        return _Ends([self.authors[at] for at in kept], [self.stored[at] for at in kept])

    def and_those(self, others: _Ends) -> _Ends:
        return _Ends(self.authors + others.authors, self.stored + others.stored)

    def _headers(self) -> npt.NDArray[np.void]:
        return np.frombuffer(b"".join([box[:HEADER_BYTES] for box in self.stored]), dtype=HEADER_DTYPE)


async def _ends(redis: Any, keys: Keyspace, settings: TimelineSettings, authors: Ids, cells: int) -> _Ends:
    """For each author with an outbox its header and the newest entries, at most so many cells."""
    pipe = redis.pipeline(transaction=False)
    partitions = authors % keys.partitions
    order = np.argsort(partitions, kind="stable")
    asked, partitions = authors[order].tolist(), partitions[order]
    edges = [0, *(np.flatnonzero(partitions[1:] != partitions[:-1]) + 1).tolist(), len(asked)]
    names = keys.keys("outbox", asked)
    for low, high in pairwise(edges):
        for start in range(low, high, KEYS_PER_CALL):
            some = names[start : min(start + KEYS_PER_CALL, high)]
            pipe.fcall("newest_entries", len(some), *some, settings.length, settings.slack, cells)
    answers = [box for answer in await pipe.execute() for box in answer]
    there = [at for at, box in enumerate(answers) if box is not None and len(box) > HEADER_BYTES]
    return _Ends([asked[at] for at in there], [answers[at] for at in there])
