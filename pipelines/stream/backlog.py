"""Deliveries that wait for their turn: entries of large authors, to their followers, a slice at a time.

Two kinds wait. New entries of throttled authors; and authors on their way back from being pulled, all of
whose newest entries go to all followers before the pulled mark is taken from them. New entries go round
twice: first to the followers who read in the last days, then to the others. Who has no timeline any more,
having read nothing for so long that it expired, gets nothing; the next read makes it anew from the outboxes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.stream.authors import Authors
from pipelines.stream.deliveries import Deliveries, Pairs
from timelines import entry
from timelines.entry import Entries, Ids, pack, unpack

PAIRS_A_TURN = 2000
"""After so many deliveries of one item the next one has its turn."""
RECENT_MS = 2 * 24 * 3600 * 1000
"""Followers who read since go first."""
ASKED = 0.1
"""What it costs to ask when a follower last read, in deliveries."""
_ITEM = struct.Struct(">q?q?q")
_FROM_THE_FIRST = -1

LastRead = Callable[[Ids], npt.NDArray[np.int64]]
"""When each of these readers last read (ms UTC), -1 where there is no timeline: int64 [n] -> int64 [n]."""


@dataclass(frozen=True)
class Waiting:
    """Packed ``entries`` of an author, from ``since`` (ms UTC) on, for followers with ids above ``after``.

    ``second`` is the round of those who have not read lately.
    """

    author: int
    returning: bool
    since: int
    entries: bytes
    second: bool = False
    after: int = _FROM_THE_FIRST

    @property
    def untouched(self) -> bool:
        return self.after == _FROM_THE_FIRST and not self.second

    def encode(self) -> bytes:
        return _ITEM.pack(self.author, self.returning, self.since, self.second, self.after) + self.entries

    @classmethod
    def decode(cls, stored: bytes) -> Waiting:
        author, returning, since, second, after = _ITEM.unpack_from(stored)
        return cls(author, bool(returning), since, stored[_ITEM.size :], bool(second), after)

    def chosen(self, last_read: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Who gets the entries in this round; who read between the rounds may get them in both."""
        recent = last_read >= self.since - RECENT_MS
        if not self.second:
            return recent
        return (last_read >= 0) & (~recent | (last_read >= self.since))


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

    def add(self, author: int, entries: Entries, now_ms: int, *, returning: bool = False) -> None:
        """Entries to all followers of the author; they join an item of the author that nobody has got yet."""
        packed = pack(entries)
        for number, item in self._items.items():
            if (item.author, item.returning) == (author, returning) and item.untouched:
                self._put(number, replace(item, entries=item.entries + packed))
                return
        number = max(self._items, default=0) + 1
        self._put(number, Waiting(author, returning, now_ms, packed))

    def waiting(self, author: int) -> bytes:
        """The author's packed entries that some followers have not got yet."""
        return b"".join(
            item.entries for item in self._items.values() if item.author == author and not item.returning
        )

    def discard(self, author: int) -> None:
        """Forget what waits of an author: it is read from the outbox from now on."""
        for number in [number for number, item in self._items.items() if item.author == author]:
            self._remove(number)

    def take(self, authors: Authors, most: int, last_read: LastRead) -> Turn:
        """The next deliveries, about ``most`` of them, the items taking turns.

        Followers come in the order of their ids, so that who follows or unfollows meanwhile shifts nobody: a
        new follower has been given all there is at the follow.
        """
        pushed, back = Pairs(entry.empty()), Pairs(entry.empty())
        returned: list[int] = []
        left = float(most)
        while left > 0 and self._items:
            for number, item in list(self._items.items()):
                entries = unpack(item.entries)
                followers = _above(authors.get(item.author).followers(), item.after)
                turn = followers[: max(int(min(left, PAIRS_A_TURN)) // max(len(entries), 1), 1)]
                pairs, readers = (
                    (back, turn) if item.returning else (pushed, turn[item.chosen(last_read(turn))])
                )
                pairs.cross(pairs.add_entries(entries), readers)
                left -= len(readers) * len(entries) + ASKED * len(turn)
                if len(turn) < len(followers):
                    self._put(number, replace(item, after=int(turn[-1])))
                elif not item.returning and not item.second:
                    self._put(number, replace(item, second=True, after=_FROM_THE_FIRST))
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
