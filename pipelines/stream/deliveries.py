"""Deliveries between fan-out and the store: which entry goes to which reader, packed into few records."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from timelines import entry
from timelines.entry import ENTRY_BYTES, Entries, Ids

Positions = npt.NDArray[np.intp]

_COUNTS = struct.Struct(">III")


@dataclass(frozen=True)
class Deliveries:
    """``entries[which[i]]`` goes to ``readers[i]``; ``activate`` are readers met, with or without an entry.

    Args:
        activate: int64 [a].
        readers: int64 [n].
        which: int32 [n].
        entries: ENTRY_DTYPE [k].
    """

    activate: Ids
    readers: Ids
    which: npt.NDArray[np.int32]
    entries: Entries

    def __len__(self) -> int:
        return len(self.readers)

    def by_shard(self, partitions: int, shards: int, most: int) -> Iterator[tuple[int, Deliveries]]:
        """Parts of at most ``most`` pairs for each shard; a shard owns the partitions p with p mod shards."""
        shard_of = (self.readers % partitions) % shards
        activate_of = (self.activate % partitions) % shards
        order = np.argsort(shard_of, kind="stable")
        bounds = np.searchsorted(shard_of[order], np.arange(shards + 1))
        for shard in range(shards):
            activate = self.activate[activate_of == shard]
            mine = order[bounds[shard] : bounds[shard + 1]]
            for start in range(0, max(len(mine), int(len(activate) > 0)), most):
                yield shard, self._part(activate if start == 0 else activate[:0], mine[start : start + most])

    def _part(self, activate: Ids, pairs: Positions) -> Deliveries:
        used, which = np.unique(self.which[pairs], return_inverse=True)
        return Deliveries(activate, self.readers[pairs], which.astype(np.int32), self.entries[used])

    def encode(self) -> bytes:
        """Counts, then the arrays; entries in their packed form."""
        return b"".join(
            (
                _COUNTS.pack(len(self.activate), len(self.readers), len(self.entries)),
                self.activate.astype("<i8").tobytes(),
                self.readers.astype("<i8").tobytes(),
                self.which.astype("<i4").tobytes(),
                entry.pack(self.entries),
            )
        )


def decode(payload: bytes) -> Deliveries:
    """What ``encode`` made."""
    activated, pairs, entries = _COUNTS.unpack_from(payload)
    at = _COUNTS.size
    activate = np.frombuffer(payload, "<i8", activated, at)
    at += 8 * activated
    readers = np.frombuffer(payload, "<i8", pairs, at)
    at += 8 * pairs
    which = np.frombuffer(payload, "<i4", pairs, at)
    at += 4 * pairs
    packed = memoryview(payload)[at : at + ENTRY_BYTES * entries]
    return Deliveries(activate, readers, which, entry.unpack(packed))


def join(parts: Sequence[Deliveries]) -> Deliveries:
    """All pairs of the parts, in order."""
    offsets = np.cumsum([0, *(len(part.entries) for part in parts[:-1])])
    return Deliveries(
        np.concatenate([part.activate for part in parts]),
        np.concatenate([part.readers for part in parts]),
        np.concatenate([part.which + offset for part, offset in zip(parts, offsets, strict=True)]).astype(
            np.int32
        ),
        np.concatenate([part.entries for part in parts]),
    )


class Pairs:
    """Collects (entry, reader) pairs over a growing table of entries."""

    def __init__(self, entries: Entries) -> None:
        self._tables = [entries]
        self._size = len(entries)
        self._which = [np.empty(0, dtype=np.int64)]
        self._readers: list[Ids] = [np.empty(0, dtype=np.int64)]

    def add_entries(self, entries: Entries) -> Positions:
        """More entries; returns their positions."""
        self._tables.append(entries)
        self._size += len(entries)
        return np.arange(self._size - len(entries), self._size)

    def add(self, positions: Positions, readers: Ids) -> None:
        """Entry ``positions[i]`` to ``readers[i]``."""
        self._which.append(positions)
        self._readers.append(readers)

    def cross(self, positions: Positions, readers: Ids) -> None:
        """Each of the entries to each of the readers."""
        self.add(np.repeat(positions, len(readers)), np.tile(readers, len(positions)))

    def deliveries(self, activate: Iterable[int]) -> Deliveries:
        return Deliveries(
            np.array(sorted(activate), dtype=np.int64),
            np.concatenate(self._readers).astype(np.int64),
            np.concatenate(self._which).astype(np.int32),
            np.concatenate(self._tables),
        )
