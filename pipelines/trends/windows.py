"""Sliding counts of terms and of their distinct authors, at the cost of what enters and what leaves.

A pair is one author who used one term in one place; it remembers the last pane in which that happened. An
author is in a window as long as that pane is. So when a pane enters, the pairs in it whose last pane had
left a window add an author to that window; and when a pane leaves a window, the pairs whose last pane it
still is take one away. Nothing is merged, and every count is exact until the bound on pairs is met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.trends import scoring
from pipelines.trends.hashing import Bools, Ints, UInts
from pipelines.trends.pane_log import PaneLog
from pipelines.trends.plan import Window
from pipelines.trends.recent_tweets import TURN_BITS, Turns, turns_of
from pipelines.trends.slots import Columns, SlotIndex

NEVER = -(1 << 31)
_AUTHOR_BITS = np.uint64(32)
_AUTHOR = np.uint64(0xFFFFFFFF)
COMPACT_FROM = 1 << 16


class Windows:
    """Counts over all windows up to pane ``now``, the last that was entered.

    ``terms`` has a row per term and place, with the columns ``count_i``, ``authors_i`` and the moments
    ``first_i``, ``second_i`` as of pane ``stamp_i`` for the i-th window.
    """

    def __init__(self, windows: Sequence[Window], extra: dict[str, tuple[npt.DTypeLike, float]]) -> None:
        self.windows = tuple(windows)
        self._longest = max(range(len(windows)), key=lambda index: windows[index].panes)
        fills: dict[str, tuple[npt.DTypeLike, float]] = {"term": (np.uint64, 0), "place": (np.int32, 0)}
        for i in range(len(windows)):
            fills |= {f"{name}_{i}": (np.int32, 0) for name in ("count", "authors")}
            fills |= {f"{name}_{i}": (np.float32, 0) for name in ("first", "second")}
            fills[f"stamp_{i}"] = (np.int32, NEVER)
        self.terms = Columns(fills | extra)
        self.term_index = SlotIndex()
        self._pairs = Columns({"last": (np.int32, NEVER), "row": (np.int32, 0)})
        self._pair_index = SlotIndex()
        self._log: dict[int, list[PaneLog]] = {}
        self._compact_at = COMPACT_FROM
        self.begin: int | None = None
        self.now = 0

    @property
    def pairs(self) -> int:
        """How many pairs are kept."""
        return self._pairs.size

    @property
    def empty(self) -> bool:
        return not self._log

    def term_slots(self, keys: UInts, term: UInts, place: Ints) -> Ints:
        """The rows of the keys (sorted, distinct), made where there are none."""
        before = self.term_index.size
        slots = self.term_index.find_or_add(keys)
        if self.term_index.size > before:
            self.terms.grow(self.term_index.size)
            fresh = slots >= before
            self.terms["term"][slots[fresh]] = term[fresh]
            self.terms["place"][slots[fresh]] = place[fresh]
        return slots

    def start(self, pane: int) -> None:
        """Begin at ``pane``, with nothing in any window; history stays."""
        self.now = pane - 1
        if self.begin is None:
            self.begin = pane

    def next_leave(self) -> int:
        """The first pane, after ``now``, with which something leaves a window; something is in one."""
        leaves = (pane + window.panes for pane in self._log for window in self.windows)
        return min(pane for pane in leaves if pane > self.now)

    def skip_to(self, pane: int) -> None:
        """``now`` becomes the pane before this one; nothing leaves a window on the way."""
        self.now = pane - 1

    def slide(self) -> None:
        """The next pane becomes ``now``: the panes that each window no longer reaches leave it."""
        self.now += 1
        for i, window in enumerate(self.windows):
            left = self.now - window.panes
            logs = self._log.get(left)
            if logs:
                self._leave(i, window, left, logs)
                if i == self._longest:
                    del self._log[left]

    def enter(self, pane: int, rows: Ints, tweets: UInts) -> None:
        """Count the authors of tweets (``contributions``) for terms (rows, one a tweet), now or late.

        What is too late for the longest window is left out.
        """
        if pane <= self.now - self.windows[self._longest].panes or len(rows) == 0:
            return
        keys, turns = turns_of(np.unique((rows.astype(np.uint64) << (_AUTHOR_BITS + TURN_BITS)) | tweets))
        slots = self._pair_index.find_or_add(keys)
        self._pairs.grow(self._pair_index.size)
        if pane in self._log:
            fresh = self._not_in(self._log[pane], slots, turns)
            keys, slots, turns = keys[fresh], slots[fresh], turns[fresh]
            if len(keys) == 0:
                return
        row = (keys >> _AUTHOR_BITS).astype(np.int64)
        first = np.flatnonzero(np.append(True, row[1:] != row[:-1]))
        terms, counts = row[first], np.diff(np.append(first, len(row)))
        last = self._pairs["last"]
        before = last[slots]
        for i, window in enumerate(self.windows):
            if pane > self.now - window.panes:
                self.terms[f"count_{i}"][terms] += counts
                came = (before <= self.now - window.panes).astype(np.int32)
                self.terms[f"authors_{i}"][terms] += np.add.reduceat(came, first)
        last[slots] = np.maximum(before, pane)
        self._pairs["row"][slots] = row
        log = PaneLog(slots.astype(np.int32), terms.astype(np.int32), counts.astype(np.int32), turns)
        self._log.setdefault(pane, []).append(log)

    def leave_out(self, authors: UInts) -> None:
        """Take these authors (sorted 32-bit hashes) out of every pane and window."""
        gone = np.isin(self._pair_index.keys() & _AUTHOR, authors)
        if np.any(gone):
            self._leave_only(lambda pane, log: np.where(gone[log.pairs], np.uint8(0), log.tweets))

    def take_back(self, panes: Ints, tweets: UInts) -> None:
        """Take these tweets (``contributions`` to their panes) out of every window."""
        if not self._log.keys() & set(panes.tolist()):
            return
        author = self._pair_index.keys() & _AUTHOR

        def left(pane: int, log: PaneLog) -> Turns:
            here = np.unique(tweets[panes == pane])
            if len(here) == 0:
                return log.tweets
            authors, turns = turns_of(here)
            wrote = author[log.pairs]
            place = np.minimum(np.searchsorted(authors, wrote), len(authors) - 1)
            return np.where(authors[place] == wrote, log.tweets & ~turns[place], log.tweets)

        self._leave_only(left)

    def history(self, i: int, rows: Ints) -> scoring.Moments:
        """What the panes that have left the i-th window say of these rows, as of now."""
        window = self.windows[i]
        newest = self.now - window.panes
        age = np.maximum(newest - self.terms[f"stamp_{i}"][rows].astype(np.float64), 0)
        faded = scoring.decay(window.half_life) ** age
        seen = newest - self.begin + 1 if self.begin is not None else 0
        return scoring.Moments(
            self.terms[f"first_{i}"][rows] * faded,
            self.terms[f"second_{i}"][rows] * faded,
            scoring.weight_of(seen, window.half_life),
        )

    def compact(self, max_pairs: int, max_terms: int) -> UInts | None:
        """Forget pairs that are in no window, and beyond the bounds the rarest terms.

        Those are the terms of the fewest authors, and of the terms in no window those whose history lets
        expect the fewest.

        Does nothing, at no cost, until pairs or terms have doubled. Returns the terms that remain, sorted.
        """
        enough = self._pairs.size < min(self._compact_at, max_pairs)
        if enough and self.terms.size < max(COMPACT_FROM, 2 * max_terms):
            return None
        pair_keys = self._pair_index.keys()
        row = (pair_keys >> _AUTHOR_BITS).astype(np.int64)
        alive = self._pairs["last"] > self.now - self.windows[self._longest].panes
        used = np.zeros(self.terms.size, np.bool_)
        used[row[alive]] = True
        kept_rows = self._remembered(used, max_terms)
        authors = self.terms[f"authors_{self._longest}"]
        rare = _too_rare(authors[used], max_pairs // 2)
        kept_rows &= ~used | (authors > rare)
        alive &= kept_rows[row]
        self._keep(np.flatnonzero(kept_rows), np.flatnonzero(alive), pair_keys)
        self._compact_at = max(COMPACT_FROM, 2 * self._pairs.size)
        return np.unique(self.terms["term"])

    def pack(self) -> dict[str, object]:
        """Everything, as what MessagePack can hold."""
        return {
            "begin": self.begin,
            "now": self.now,
            "terms": self.terms.pack(),
            "term_keys": self.term_index.keys().tobytes(),
            "pairs": self._pairs.pack(),
            "pair_keys": self._pair_index.keys().tobytes(),
            "log": [(pane, *log.pack()) for pane, logs in self._log.items() for log in logs],
        }

    def unpack(self, packed: dict[str, Any]) -> None:
        """Back to the moment of ``pack``."""
        self.begin, self.now = packed["begin"], packed["now"]
        self.terms.unpack(packed["terms"])
        self.term_index = SlotIndex(np.frombuffer(packed["term_keys"], np.uint64))
        self._pairs.unpack(packed["pairs"])
        self._pair_index = SlotIndex(np.frombuffer(packed["pair_keys"], np.uint64))
        self._log = {}
        for pane, *arrays in packed["log"]:
            self._log.setdefault(pane, []).append(PaneLog.unpack(*arrays))
        self._compact_at = max(COMPACT_FROM, 2 * self._pairs.size)

    def _not_in(self, logs: list[PaneLog], slots: Ints, turns: Turns) -> Bools:
        """Which pairs a pane has not had; those that it has are of these turns, too."""
        fresh = np.ones(len(slots), np.bool_)
        number = np.full(self._pairs.size, -1, np.int32)
        number[slots] = np.arange(len(slots))
        for index, log in enumerate(logs):
            again = number[log.pairs]
            known = again >= 0
            fresh[again[known]] = False
            logs[index] = log.also_of(known, turns[again[known]])
        return fresh

    def _leave_only(self, left: Callable[[int, PaneLog], Turns]) -> None:
        """Take out of every pane the pairs of which no tweet is ``left``."""
        last, rows = self._pairs["last"], self._pairs["row"]
        latest = np.full(self._pairs.size, NEVER, np.int32)
        for pane, logs in self._log.items():
            for index, log in enumerate(logs):
                tweets = left(pane, log)
                if tweets is not log.tweets:
                    gone = rows[log.pairs[tweets == 0]]
                    for i, window in enumerate(self.windows):
                        if pane > self.now - window.panes:
                            np.subtract.at(self.terms[f"count_{i}"], gone, 1)
                    logs[index] = log = log.left_with(tweets, rows)
                latest[log.pairs] = np.maximum(latest[log.pairs], pane)
        for i, window in enumerate(self.windows):
            edge = self.now - window.panes
            np.subtract.at(self.terms[f"authors_{i}"], rows[(last > edge) & (latest <= edge)], 1)
        last[:] = latest

    def _leave(self, i: int, window: Window, pane: int, logs: list[PaneLog]) -> None:
        last, rows = self._pairs["last"], self._pairs["row"]
        for log in logs:
            self.terms[f"count_{i}"][log.terms] -= log.counts
            gone = log.pairs[last[log.pairs] == pane]
            np.subtract.at(self.terms[f"authors_{i}"], rows[gone], 1)
        terms, counts = logs[0].terms, logs[0].counts
        if len(logs) > 1:
            terms, which = np.unique(np.concatenate([log.terms for log in logs]), return_inverse=True)
            counts = np.bincount(which, np.concatenate([log.counts for log in logs])).astype(np.int32)
        stamp = self.terms[f"stamp_{i}"]
        factor = scoring.decay(window.half_life)
        faded = factor ** np.minimum(pane - stamp[terms].astype(np.float64), 1e6)
        for name, value in (("first", counts), ("second", counts.astype(np.float64) ** 2)):
            moment = self.terms[f"{name}_{i}"]
            moment[terms] = moment[terms] * faded + (1 - factor) * value
        stamp[terms] = pane

    def _remembered(self, used: Bools, most: int) -> Bools:
        """The rows in use, and as many others as fit: those whose history lets expect the most authors."""
        expected = np.zeros(self.terms.size)
        every = np.arange(self.terms.size)
        for i, window in enumerate(self.windows):
            moments = self.history(i, every)
            if moments.weight > 0:
                expected = np.maximum(expected, window.panes * moments.first / moments.weight)
        others = np.flatnonzero(~used & (expected > 0))
        room = max(0, most - int(np.count_nonzero(used)))
        if len(others) > room:
            others = others[np.argpartition(-expected[others], room)[:room]] if room else others[:0]
        kept = used.copy()
        kept[others] = True
        return kept

    def _keep(self, rows: Ints, pairs: Ints, pair_keys: UInts) -> None:
        new_row = np.full(self.terms.size, -1, np.int64)
        new_row[rows] = np.arange(len(rows))
        new_pair = np.full(self._pairs.size, -1, np.int64)
        new_pair[pairs] = np.arange(len(pairs))
        row = new_row[self._pairs["row"][pairs]]
        self._pairs.keep(pairs)
        self._pairs["row"][:] = row
        authors = pair_keys[pairs] & _AUTHOR
        self._pair_index = SlotIndex((row.astype(np.uint64) << _AUTHOR_BITS) | authors)
        self.term_index = SlotIndex(self.term_index.keys()[rows])
        self.terms.keep(rows)
        for logs in self._log.values():
            logs[:] = [log.renumbered(new_pair, new_row) for log in logs]


def _too_rare(authors: Ints, room: int) -> int:
    """The least number such that the terms with more authors have at most ``room`` of them together."""
    most_first = np.sort(authors)[::-1]
    fitting = int(np.searchsorted(np.cumsum(most_first, dtype=np.int64), room, side="right"))
    return int(most_first[fitting]) if fitting < len(authors) else 0
