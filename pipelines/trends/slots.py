"""Growing tables in numpy: 64-bit keys get consecutive numbers (slots) that columns are indexed by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.trends.hashing import Ints, UInts

MERGE_AT = 1 << 14
Array = npt.NDArray[Any]


class SlotIndex:
    """Keys -> slots in order of arrival: a large sorted array and a small one that is merged into it."""

    def __init__(self, keys: UInts | None = None) -> None:
        """``keys``: distinct; the i-th has slot i."""
        known = np.zeros(0, np.uint64) if keys is None else keys
        order = np.argsort(known)
        self._keys: UInts = known[order]
        self._slots: Ints = order.astype(np.int64)
        self._new_keys: UInts = np.zeros(0, np.uint64)
        self._new_slots: Ints = np.zeros(0, np.int64)
        self.size = len(known)

    def find(self, keys: UInts) -> Ints:
        """The slots of the keys, -1 for unknown ones."""
        slots = _look_up(self._keys, self._slots, keys)
        missing = np.flatnonzero(slots < 0)
        if len(missing) and len(self._new_keys):
            slots[missing] = _look_up(self._new_keys, self._new_slots, keys[missing])
        return slots

    def find_or_add(self, keys: UInts) -> Ints:
        """The slots of the keys (sorted and distinct); unknown ones get the next numbers, by key."""
        slots = self.find(keys)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            slots[missing] = np.arange(self.size, self.size + len(missing))
            self.size += len(missing)
            self._insert(keys[missing], slots[missing])
        return slots

    def keys(self) -> UInts:
        """By slot."""
        keys = np.zeros(self.size, np.uint64)
        keys[self._slots] = self._keys
        keys[self._new_slots] = self._new_keys
        return keys

    def _insert(self, keys: UInts, slots: Ints) -> None:
        self._new_keys, self._new_slots = _merge(self._new_keys, self._new_slots, keys, slots)
        if len(self._new_keys) > max(MERGE_AT, len(self._keys) // 8):
            self._keys, self._slots = _merge(self._keys, self._slots, self._new_keys, self._new_slots)
            self._new_keys, self._new_slots = np.zeros(0, np.uint64), np.zeros(0, np.int64)


class Columns:
    """Arrays that grow together, each filled with its own value: ``columns["name"]`` has ``size`` rows."""

    def __init__(self, fills: Mapping[str, tuple[npt.DTypeLike, float]]) -> None:
        self._fills = dict(fills)
        self._arrays: dict[str, Array] = {
            name: np.full(1024, fill, dtype) for name, (dtype, fill) in self._fills.items()
        }
        self.size = 0

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name][: self.size]

    def grow(self, size: int) -> None:
        """New rows hold the fill values."""
        room = len(self._arrays[next(iter(self._arrays))])
        if size > room:
            for name, (dtype, fill) in self._fills.items():
                wider = np.full(max(size, 2 * room), fill, dtype)
                wider[: self.size] = self._arrays[name][: self.size]
                self._arrays[name] = wider
        self.size = size

    def keep(self, rows: Ints) -> None:
        """Only these rows, in this order."""
        for name, (dtype, fill) in self._fills.items():
            kept = np.full(max(1024, len(rows)), fill, dtype)
            kept[: len(rows)] = self._arrays[name][rows]
            self._arrays[name] = kept
        self.size = len(rows)

    def pack(self) -> dict[str, bytes]:
        return {name: self[name].tobytes() for name in self._fills}

    def unpack(self, packed: Mapping[str, bytes]) -> None:
        for name, (dtype, _) in self._fills.items():
            values = np.frombuffer(packed[name], dtype)
            self.grow(len(values))
            self._arrays[name][: len(values)] = values


def _look_up(known: UInts, slots: Ints, keys: UInts) -> Ints:
    if len(known) == 0:
        return np.full(len(keys), -1, np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, slots[place], -1)


def _merge(known: UInts, slots: Ints, keys: UInts, more: Ints) -> tuple[UInts, Ints]:
    place = np.searchsorted(known, keys)
    return np.insert(known, place, keys), np.insert(slots, place, more)
