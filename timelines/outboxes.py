"""The newest entries of many outboxes, read from their ends: one pipeline per store node, seldom a second.

Each outbox first gives a few of its newest entries. Where even the oldest of these is among the newest of
all, it may hold more, and it alone is asked again, for everything (the threshold algorithm for the top k of
sorted lists).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from timelines import entry
from timelines.cells import unpack_newest
from timelines.entry import Entries, Ids
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings
from timelines.timeline import HEADER_BYTES, read_header

FEWEST_CELLS = 32
SHARE = 4
"""How many times its equal share of the answer an outbox gives at first."""
KEYS_PER_CALL = 500


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
    boxes = await _tails(redis, keys, settings, authors, few)
    found, cutoff = _merge(boxes, length)
    deeper = [author for author, box in boxes.items() if _may_hold_more(box, cutoff)]
    if deeper:
        boxes |= await _tails(redis, keys, settings, np.array(deeper, dtype=np.int64), 2 * length)
        found, cutoff = _merge(boxes, length)
    floor = max((read_header(box).floor for box in boxes.values()), default=0)
    return Newest(found, max(floor, cutoff - 1))


def _merge(boxes: dict[int, bytes], length: int) -> tuple[Entries, int]:
    """The newest entries, and the smallest id among them when there may be others below, else 0."""
    found = unpack_newest(b"".join([box[HEADER_BYTES:] for box in boxes.values()]), length)
    return found, int(found["appearance"][-1]) if len(found) == length else 0


def _may_hold_more(box: bytes, cutoff: int) -> bool:
    cells = (len(box) - HEADER_BYTES) // 16
    oldest = int.from_bytes(box[HEADER_BYTES : HEADER_BYTES + 8], "big")
    return cells < read_header(box).used and oldest > cutoff


async def _tails(
    redis: Any, keys: Keyspace, settings: TimelineSettings, authors: Ids, cells: int
) -> dict[int, bytes]:
    """For each author with an outbox its header and the newest entries, at most so many cells."""
    pipe = redis.pipeline(transaction=False)
    calls: list[list[int]] = []
    partitions = authors % keys.partitions
    for partition in np.unique(partitions).tolist():
        members = authors[partitions == partition].tolist()
        for start in range(0, len(members), KEYS_PER_CALL):
            asked = members[start : start + KEYS_PER_CALL]
            names = keys.keys("outbox", asked)
            pipe.fcall("newest_entries", len(asked), *names, settings.length, settings.slack, cells)
            calls.append(asked)
    answers = await pipe.execute()
    return {
        author: box
        for asked, answer in zip(calls, answers, strict=True)
        for author, box in zip(asked, answer, strict=True)
        if box is not None
    }
