"""Who and what is in quarantine: accounts and single tweets, by what the topic ``marks`` says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pipelines.trends.hashing import Bools, HashSet, UInts

Hashed = Callable[[Sequence[int]], npt.NDArray[Any]]


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """A judgement; of several of one target the one of the largest ``rank`` (``MarkChanged.rank``) holds."""

    target: int
    quarantined: bool
    rank: tuple[bool, int, str]


class Quarantine:
    """Args:
    hashed: what the targets are told apart by.
    most: how many judgements are kept, None for all; beyond it those of the lowest rank are forgotten,
        until half of it is left.
    """

    def __init__(self, hashed: Hashed, most: int | None = None) -> None:
        self._hashed = hashed
        self._most = most
        self._marks: dict[int, Mark] = {}
        self._new: set[int] = set()
        self._inside: HashSet | None = None

    def judge(self, marks: Iterable[Mark]) -> None:
        """In any order, and as often as they come."""
        for mark in marks:
            known = self._marks.get(mark.target)
            if known is not None and mark.rank <= known.rank:
                continue
            self._marks[mark.target] = mark
            self._inside = None
            if not mark.quarantined:
                self._new.discard(mark.target)
            elif known is None or not known.quarantined:
                self._new.add(mark.target)
        if self._most is not None and len(self._marks) > self._most:
            kept = sorted(self._marks.values(), key=lambda mark: mark.rank)[-(self._most // 2) :]
            self._marks = {mark.target: mark for mark in kept}

    def take_new(self) -> UInts:
        """Hashes, sorted, of what came in since this was last asked, and is still inside."""
        new = np.unique(self._hashed(sorted(self._new))).astype(np.uint64)
        self._new.clear()
        return new

    def has(self, hashes: npt.NDArray[Any]) -> Bools:
        """Which of these are inside."""
        if self._inside is None:
            inside = [target for target, mark in self._marks.items() if mark.quarantined]
            self._inside = HashSet(self._hashed(inside).astype(np.uint64))
        return self._inside.has(hashes.astype(np.uint64))

    def pack(self) -> list[Mark]:
        """After ``judge`` of them all are new again."""
        return list(self._marks.values())
