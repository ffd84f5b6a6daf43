"""Which tweets were counted lately, so that one of them can be taken out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.trends.hashing import HashSet, Ints, UInts, mixed
from pipelines.trends.slots import Columns

Turns = npt.NDArray[np.uint8]
TURN_BITS = np.uint64(3)
LAST_TURN = 7
"""The turn of the eighth tweet of an author in a pane, of all after it, and of those that are not known."""
UNKNOWN = np.uint64(0)
"""The hash of no tweet."""
COMPACT_FROM = 1 << 16


def tweet_hashes(ids: Sequence[int]) -> UInts:
    """What tweets are known by; different for different ids."""
    return mixed(np.asarray(ids, np.uint64) + np.uint64(1))


def contributions(authors: npt.NDArray[np.uint32], turns: Turns) -> UInts:
    """The tweets of one pane as single numbers: author, and in the three lowest bits the turn."""
    result: UInts = (authors.astype(np.uint64) << TURN_BITS) | turns
    return result


def turns_of(tweets: UInts) -> tuple[UInts, Turns]:
    """Numbers (sorted, distinct) that end in a turn, each once without it, and a bit for each turn it had."""
    keys = tweets >> TURN_BITS
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    turns = np.uint8(1) << (tweets & np.uint64(LAST_TURN)).astype(np.uint8)
    return keys[first], np.bitwise_or.reduceat(turns, first)


class RecentTweets:
    """Of each tweet its author, its pane, and the how manyth of its author it was there (the turn, from 0).

    Args:
        most: how many are kept; beyond it the earliest are forgotten, until half of it is left.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tweets = Columns(
            {"tweet": (np.uint64, 0), "author": (np.uint32, 0), "pane": (np.int32, 0), "turn": (np.uint8, 0)}
        )
        self._compact_at = min(COMPACT_FROM, most)

    def add(self, pane: int, tweets: UInts, authors: npt.NDArray[np.uint32], oldest: int) -> Turns:
        """The turns of these tweets (hashes). What was before the pane ``oldest`` may be forgotten."""
        known = self._tweets["author"][self._tweets["pane"] == pane]
        turns = _turns(np.concatenate([known, authors]))[len(known) :]
        before = self._tweets.size
        self._tweets.grow(before + len(tweets))
        for name, values in (("tweet", tweets), ("author", authors), ("pane", pane), ("turn", turns)):
            self._tweets[name][before:] = values
        if self._tweets.size > self._compact_at:
            self._tweets.keep(np.flatnonzero(self._tweets["pane"] >= oldest)[-(self._most // 2) :])
            self._compact_at = min(max(COMPACT_FROM, 2 * self._tweets.size), self._most)
        return turns

    def find(self, tweets: UInts) -> tuple[Ints, UInts]:
        """The panes and contributions of those of these tweets (hashes) that are known."""
        found = np.flatnonzero(HashSet(tweets).has(self._tweets["tweet"]))
        panes = self._tweets["pane"][found].astype(np.int64)
        return panes, contributions(self._tweets["author"][found], self._tweets["turn"][found])

    def pack(self) -> dict[str, bytes]:
        return self._tweets.pack()

    def unpack(self, packed: Mapping[str, Any]) -> None:
        self._tweets.unpack(packed)
        self._compact_at = min(max(COMPACT_FROM, 2 * self._tweets.size), self._most)


def _turns(authors: npt.NDArray[np.uint32]) -> Turns:
    """How many of the same author stand before each, at most ``LAST_TURN``."""
    order = np.argsort(authors, kind="stable")
    ordered = authors[order]
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    place = np.arange(len(ordered))
    turns = np.empty(len(authors), np.uint8)
    turns[order] = np.minimum(place - np.maximum.accumulate(np.where(first, place, 0)), LAST_TURN)
    return turns
