"""Deliveries that wait for their turn: entries of large authors, to their followers, a slice at a time.

Two kinds wait. New entries of throttled authors; and authors on their way back from being pulled, all of
whose newest entries go to all followers before the pulled mark is taken from them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from pipelines.stream.authors import Authors
from pipelines.stream.deliveries import Deliveries, Pairs
from timelines import entry
from timelines.entry import Entries, Ids, pack, unpack

PAIRS_A_TURN = 2000
"""After so many deliveries of one item the next one has its turn."""
_ITEM = struct.Struct(">q?q")
_FROM_THE_FIRST = -1


@dataclass(frozen=True)
class Waiting:
    """Packed ``entries`` of an author, for the followers whose id is above ``after``."""

    author: int
    returning: bool
    after: int
    entries: bytes

    def encode(self) -> bytes:
        return _ITEM.pack(self.author, self.returning, self.after) + self.entries

    @classmethod
    def decode(cls, stored: bytes) -> Waiting:
        author, returning, after = _ITEM.unpack_from(stored)
        return cls(author, bool(returning), after, stored[_ITEM.size :])


@dataclass(frozen=True)
class Turn:
    """What may be delivered now: ``pushed`` as any delivery; ``returning`` has to be in the store before the
    authors of ``returned`` lose their pulled mark."""

    pushed: Deliveries
    returning: Deliveries
    returned: list[int]

    def __len__(self) -> int:
        return len(self.pushed) + len(self.returning)


class NumberedTable(Protocol):
    """A map from numbers to bytes that can be listed: a Flink map state, or a dictionary in tests."""

    def items(self) -> Iterator[tuple[int, bytes]]: ...

    def __setitem__(self, key: int, value: bytes, /) -> None: ...

    def __delitem__(self, key: int, /) -> None: ...


class Backlog:
    """The waiting items of one shard in the order of their arrival; the table holds all of it."""

    def __init__(self, table: NumberedTable) -> None:
        self._table = table
        self._items = {number: Waiting.decode(stored) for number, stored in sorted(table.items())}

    def __len__(self) -> int:
        return len(self._items)

    def add(self, author: int, entries: Entries, *, returning: bool = False) -> None:
        """Entries to all followers of the author; they join an item of the author that nobody has got yet."""
        packed = pack(entries)
        for number, item in self._items.items():
            if (item.author, item.returning, item.after) == (author, returning, _FROM_THE_FIRST):
                self._put(number, replace(item, entries=item.entries + packed))
                return
        number = max(self._items, default=0) + 1
        self._put(number, Waiting(author, returning, _FROM_THE_FIRST, packed))

    def discard(self, author: int) -> None:
        """Forget what waits of an author: it is read from the outbox from now on."""
        for number in [number for number, item in self._items.items() if item.author == author]:
            self._remove(number)

    def take(self, authors: Authors, most: int) -> Turn:
        """The next deliveries, about ``most`` of them, the items taking turns.

        Followers come in the order of their ids, so that who follows or unfollows meanwhile shifts nobody: a
        new follower has been given all there is at the follow.
        """
        pushed, back = Pairs(entry.empty()), Pairs(entry.empty())
        returned: list[int] = []
        left = most
        while left > 0 and self._items:
            for number, item in list(self._items.items()):
                entries = unpack(item.entries)
                followers = _above(authors.get(item.author).followers(), item.after)
                turn = followers[: max(min(left, PAIRS_A_TURN) // max(len(entries), 1), 1)]
                pairs = back if item.returning else pushed
                pairs.cross(pairs.add_entries(entries), turn)
                left -= len(turn) * len(entries)
                if len(turn) < len(followers):
                    self._put(number, replace(item, after=int(turn[-1])))
                else:
                    self._remove(number)
                    if item.returning:
                        returned.append(item.author)
                if left <= 0:
                    break
        return Turn(pushed.deliveries(()), back.deliveries(()), returned)

    def _put(self, number: int, item: Waiting) -> None:
        self._items[number] = item
        self._table[number] = item.encode()

    def _remove(self, number: int) -> None:
        del self._items[number]
        del self._table[number]


def _above(followers: Ids, after: int) -> Ids:
    return followers[np.searchsorted(followers, after, side="right") :]
