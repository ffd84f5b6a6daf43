"""What fan-out knows of each author: follower edges, newest own entries, whether pulled; its stored form.

Edges are stored as blocks of an append-only log, so that one change of a large author writes one block.
The version of a layout is in the name of its Flink state.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from ingestion.events import FollowChanged, Tier
from pipelines.stream.tiers import FanOutTiers
from timelines.entry import ENTRY_BYTES, Entries, Ids, pack, unpack
from timelines.timeline import newest

EDGES_PER_BLOCK = 256
_EDGE = struct.Struct(">qq?H")
_HEAD = struct.Struct(">I??BI")
_TIERS: tuple[Tier | None, ...] = (None, "push", "throttle", "pull")


class Edge(NamedTuple):
    """The newest change of a follow edge; edges are ordered by (ts, event id)."""

    ts: int
    event_id: str
    active: bool

    @classmethod
    def of(cls, event: FollowChanged) -> Edge:
        return cls(event.ts, event.event_id, event.active)


@dataclass(slots=True)
class Author:
    """``recents`` holds packed entries in order of arrival, at least the newest ``length`` of them.

    A ``pulled`` author's entries go to nobody. One who is ``returning`` is pushed again, and stays marked as
    pulled in the store until the followers have got what they were not given meanwhile.
    ``logged`` edge changes are stored in blocks, the last of which is ``tail``.
    """

    edges: dict[int, Edge] = field(default_factory=dict)
    recents: bytearray = field(default_factory=bytearray)
    pulled: bool = False
    returning: bool = False
    override: Tier | None = None
    active: int = 0
    logged: int = 0
    tail: bytes = b""
    _followers: Ids | None = None

    def change_edge(self, follower: int, edge: Edge) -> bool:
        """Apply a follow event; False where it is older than what is known, or the same."""
        known = self.edges.get(follower)
        if known is not None and (edge.ts, edge.event_id) <= (known.ts, known.event_id):
            return False
        self.edges[follower] = edge
        change = int(edge.active) - int(known is not None and known.active)
        if change:
            self.active += change
            self._followers = None
        return True

    def edges_of(self, followers: Iterable[int]) -> list[tuple[int, Edge]]:
        """What is known of these followers' edges; nothing of those never heard of."""
        known = ((follower, self.edges.get(follower)) for follower in followers)
        return [(follower, edge) for follower, edge in known if edge is not None]

    def unfollows_at(self, follower: int, follow: Edge) -> bool:
        """Whether the follower's edge has ended in the very millisecond of this follow."""
        edge = self.edges[follower]
        return follow.active and not edge.active and edge.ts == follow.ts

    def followers(self) -> Ids:
        """The accounts that follow now, int64 ascending."""
        if self._followers is None:
            ids = (follower for follower, edge in self.edges.items() if edge.active)
            self._followers = np.sort(np.fromiter(ids, dtype=np.int64, count=self.active))
        return self._followers

    def cross(self, tiers: FanOutTiers) -> Tier:
        """The author's tier now; ``pulled`` and ``returning`` follow it."""
        tier = tiers.tier(self.active, self.override, self.pulled)
        if tier == "pull":
            self.pulled, self.returning = True, False
        elif self.pulled:
            self.pulled, self.returning = False, True
        return tier

    def head(self) -> bytes:
        """What is known without the edges: how many blocks they take, the standing, how many are active."""
        override = _TIERS.index(self.override)
        return _HEAD.pack(_blocks(self.logged), self.pulled, self.returning, override, self.active)

    def newest_entries(self, length: int) -> Entries:
        """The newest entries by appearance id, each once."""
        return newest(unpack(memoryview(self.recents)), length)

    def remember(self, packed: bytes, length: int) -> None:
        """Add packed entries; only when twice ``length`` have gathered are the oldest let go."""
        self.recents += packed
        if len(self.recents) > 2 * length * ENTRY_BYTES:
            self.recents = bytearray(pack(self.newest_entries(length)))


def encode_edge(follower: int, edge: Edge) -> bytes:
    """One record of the log; event ids are at most 65,535 bytes."""
    name = edge.event_id.encode()
    return _EDGE.pack(follower, edge.ts, edge.active, len(name)) + name


def decode_edges(block: bytes) -> Iterator[tuple[int, Edge]]:
    """The records of a block, in order."""
    at = 0
    while at < len(block):
        follower, ts, active, length = _EDGE.unpack_from(block, at)
        at += _EDGE.size + length
        yield follower, Edge(ts, block[at - length : at].decode(), bool(active))


Key = TypeVar("Key", int, str, contravariant=True)


class Table(Protocol[Key]):
    """A map that keeps bytes: a Flink map state, or a dictionary in tests."""

    def get(self, key: Key, /) -> bytes | None: ...

    def __setitem__(self, key: Key, value: bytes, /) -> None: ...

    def __delitem__(self, key: Key, /) -> None: ...


class ListedTable(Table[int], Protocol):
    """A table whose rows can be listed."""

    def items(self) -> Iterable[tuple[int, bytes]]: ...


@dataclass(frozen=True)
class AuthorTables:
    """``heads`` and ``recents`` by author, ``edges`` by "author:block"."""

    heads: ListedTable
    recents: Table[int]
    edges: Table[str]


class Authors:
    """The authors of one shard, read once from their tables and kept; what changed is written by ``save``.

    An instance must be the only writer of its tables. ``capacity`` bounds the edges and entries kept
    in memory: above it, the authors loaded first are let go at the next ``save``.
    """

    def __init__(self, tables: AuthorTables, capacity: int = 2_000_000) -> None:
        self._tables = tables
        self._capacity = capacity
        self._known: dict[int, Author] = {}
        self._size = 0

    def get(self, author_id: int) -> Author:
        """The author's state; a new one where nothing is stored."""
        author = self._known.get(author_id)
        if author is None:
            author = self._load(author_id)
            self._known[author_id] = author
            self._size += _weight(author)
        return author

    def _load(self, author_id: int) -> Author:
        author = Author(recents=bytearray(self._tables.recents.get(author_id) or b""))
        head = self._tables.heads.get(author_id)
        if head is not None:
            blocks, author.pulled, author.returning, override, _ = _HEAD.unpack(head)
            author.override = _TIERS[override]
            for number in range(blocks):
                author.tail = self._tables.edges.get(f"{author_id}:{number}") or b""
                for follower, edge in decode_edges(author.tail):
                    author.logged += 1
                    author.change_edge(follower, edge)
        return author

    def release(self, author_id: int) -> Author:
        """Forget an author, here and in the tables; what was known of them is somebody else's from now on."""
        author = self.get(author_id)
        for number in range(_blocks(author.logged)):
            del self._tables.edges[f"{author_id}:{number}"]
        if author.recents:
            del self._tables.recents[author_id]
        if self._tables.heads.get(author_id) is not None:
            del self._tables.heads[author_id]
        del self._known[author_id]
        self._size -= _weight(author)
        return author

    def adopt(self, author_id: int, released: Author, length: int) -> None:
        """Go on from where another instance released an author, also where some of it is known."""
        author = self.get(author_id)
        changed = [
            follower for follower, edge in released.edges.items() if author.change_edge(follower, edge)
        ]
        author.remember(bytes(released.recents), length)
        author.pulled = author.pulled or released.pulled
        author.override = released.override
        self.save({author_id: changed} if changed else {}, [author_id], [author_id])

    def pulled(self) -> list[int]:
        """The authors merged at read, by their heads alone."""
        return [author_id for author_id, head in self._tables.heads.items() if _HEAD.unpack(head)[1]]

    def due_to_cross(self, tiers: FanOutTiers) -> list[int]:
        """The authors whom these thresholds move into or out of being pulled, by their heads alone."""
        due = []
        for author_id, head in self._tables.heads.items():
            _, pulled, _, override, active = _HEAD.unpack(head)
            if (tiers.tier(active, _TIERS[override], pulled) == "pull") != pulled:
                due.append(author_id)
        return due

    def save(
        self, changed_edges: dict[int, list[int]], with_entries: Iterable[int], crossed: Iterable[int]
    ) -> None:
        """Write what changed: followers with changed edges by author; authors with new entries; authors with
        a new standing."""
        for author_id, followers in changed_edges.items():
            self._append_edges(author_id, self._known[author_id], followers)
            self._size += len(followers)
        for author_id in {*changed_edges, *crossed}:
            self._tables.heads[author_id] = self._known[author_id].head()
        for author_id in with_entries:
            self._tables.recents[author_id] = bytes(self._known[author_id].recents)
            self._size += 1
        if self._size > self._capacity:
            self._let_go()

    def _append_edges(self, author_id: int, author: Author, followers: list[int]) -> None:
        before = _blocks(author.logged)
        if author.logged + len(followers) > 2 * len(author.edges) + EDGES_PER_BLOCK:
            followers = list(author.edges)
            author.logged, author.tail = 0, b""
        for follower in followers:
            if author.logged % EDGES_PER_BLOCK == 0 and author.logged:
                self._tables.edges[f"{author_id}:{_blocks(author.logged) - 1}"] = author.tail
                author.tail = b""
            author.tail += encode_edge(follower, author.edges[follower])
            author.logged += 1
        after = _blocks(author.logged)
        self._tables.edges[f"{author_id}:{after - 1}"] = author.tail
        for number in range(after, before):
            del self._tables.edges[f"{author_id}:{number}"]

    def _let_go(self) -> None:
        for author_id in list(self._known)[: len(self._known) // 2 + 1]:
            del self._known[author_id]
        self._size = sum(map(_weight, self._known.values()))


def _blocks(edges: int) -> int:
    return -(-edges // EDGES_PER_BLOCK)


def _weight(author: Author) -> int:
    return 1 + len(author.edges) + len(author.recents) // ENTRY_BYTES
