"""Pure folds behind the engagement features: the one definition that stream and tests share.

A tally says of one tweet or account how often each thing stands (a like, a follow, an impression), and for
groups of them how much of that is recent: three windows that decay exponentially, each engagement weighing
exp(-age / lifetime). At a steady rate such a window holds what a sharp one of that length would. Because all
of it decays alike, a window's value at one moment gives its value at any later one: nothing has to tick.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.names import WINDOWS

LAYOUT = 1
_LIFETIMES_MS = np.array([seconds * 1000 for seconds in WINDOWS.values()])

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TallyKind:
    """What is counted: ``slots`` by name, and which slots are added up in each group of windows.

    Slots are numbered from ``first``, so that the kinds' numbers differ. What a tally is made of decides its
    version, and its version what may be overwritten: so what is shown and what is done are kinds apart.
    """

    first: int
    slots: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]

    @property
    def dtype(self) -> np.dtype[np.void]:
        """One tally: ``version`` is the newest event time behind it (ms UTC), ``recent`` holds at it."""
        return np.dtype(
            [
                ("layout", "u1"),
                ("version", "<i8"),
                ("counts", "<i8", (len(self.slots),)),
                ("recent", "<f8", (len(self.groups), len(WINDOWS))),
            ]
        )

    @property
    def numbers(self) -> range:
        """The numbers of the slots."""
        return range(self.first, self.first + len(self.slots))

    def slot(self, name: str) -> int:
        """The number of a slot."""
        return self.first + self.slots.index(name)

    def empty(self, number: int) -> NDArray[np.void]:
        """Tallies of nothing."""
        tallies = np.zeros(number, dtype=self.dtype)
        tallies["layout"] = LAYOUT
        return tallies

    def unpack(self, states: Iterable[bytes | None]) -> NDArray[np.void]:
        """Tallies from their bytes (``tobytes``), an empty one for None.

        Raises:
            ValueError: a layout this build does not know.
        """
        blank = self.empty(1).tobytes()
        tallies = np.frombuffer(bytearray().join(state or blank for state in states), dtype=self.dtype)
        if len(foreign := tallies["layout"][tallies["layout"] != LAYOUT]):
            raise ValueError(f"A tally of layout {foreign[0]} is not known.")
        return tallies


_KINDS = ("likes", "retweets", "replies", "quotes")
TWEET = TallyKind(0, _KINDS, (_KINDS,))
SHOWING = TallyKind(4, ("impressions", "clicks"), (("impressions",), ("clicks",)))
ACCOUNT = TallyKind(8, ("followers", "following", "tweets", "received"), (("received",),))


def decayed(value: float, age_ms: float, lifetime_s: float) -> float:
    """What is left of a decaying value after ``age_ms``; a negative age leaves it as it is."""
    return float(value * np.exp(-max(age_ms, 0.0) / (lifetime_s * 1000)))


def add(
    kind: TallyKind, tallies: NDArray[np.void], which: Ints, slots: Ints, signs: Ints, moments: Ints
) -> None:
    """Adds changes to tallies, in place. How they are put into calls does not matter, nor their order, but
    that something is taken back after it began.

    Args:
        tallies: [m], of ``kind.dtype``.
        which: int64 [n], the tally that a change belongs to.
        slots: int64 [n], numbers of ``kind``.
        signs: int64 [n]: 1 where something begins to stand, -1 where that is taken back, 0 where a change
            only makes the tally newer.
        moments: int64 [n], event time of what began to stand, ms UTC.
    """
    before = tallies["version"].copy()
    np.maximum.at(tallies["version"], which, moments)
    passed = np.minimum((before - tallies["version"])[:, None] / _LIFETIMES_MS, 0.0)
    tallies["recent"] *= np.exp(passed)[:, None, :]
    np.add.at(tallies["counts"], (which, slots - kind.first), signs)
    ages = (moments - tallies["version"][which])[:, None] / _LIFETIMES_MS
    weights = signs[:, None] * np.exp(ages)
    for number, group in enumerate(kind.groups):
        places = [kind.slots.index(name) for name in group]
        inside = np.isin(slots - kind.first, places)
        np.add.at(tallies["recent"][:, number], which[inside], weights[inside])
        # What is left of rounding when all is taken back is not an engagement.
        gone = tallies["counts"][:, places].sum(axis=1) == 0
        tallies["recent"][gone, number] = 0.0
    np.maximum(tallies["recent"], 0.0, out=tallies["recent"])


def smoothed_rate(
    successes: NDArray[np.number[Any]],
    trials: NDArray[np.number[Any]],
    prior_rate: float,
    prior_weight: float,
) -> NDArray[np.float64]:
    """``(successes + prior_weight * prior_rate) / (trials + prior_weight)``, each [n].

    Raises:
        ValueError: neither trials nor a prior to go by, or a negative number of them.
    """
    if np.any(trials < 0) or prior_weight < 0 or np.any(trials + prior_weight == 0):
        raise ValueError(f"No rate from {np.min(trials)} trials with a prior of weight {prior_weight}.")
    return np.asarray((successes + prior_weight * prior_rate) / (trials + prior_weight), dtype=np.float64)


@dataclass
class EngagementFold:
    """The definition in full, for one tweet or account: its edges, last writer wins, and their tally.

    An edge is whatever may stand once: a user's like of this tweet, a reply to it, one page's impression.
    """

    kind: TallyKind
    edges: dict[tuple[str, Hashable], tuple[int, str, bool]] = field(default_factory=dict)

    def apply(self, slot: str, edge: Hashable, ts_ms: int, event_id: str, active: bool) -> None:
        """One change of one edge; older or repeated changes have no effect."""
        change = (ts_ms, event_id, active)
        if change[:2] >= self.edges.get((slot, edge), (-1, "", False))[:2]:
            self.edges[slot, edge] = change

    def apply_all(self, changes: Iterable[tuple[str, Hashable, int, str, bool]]) -> EngagementFold:
        for change in changes:
            self.apply(*change)
        return self

    def tally(self) -> NDArray[np.void]:
        """The tally [1] as of the newest change."""
        tally = self.kind.empty(1)
        tally["version"] = max((ts_ms for ts_ms, _, _ in self.edges.values()), default=0)
        for (slot, _), (ts_ms, _, active) in self.edges.items():
            if active:
                tally["counts"][0, self.kind.slots.index(slot)] += 1
                age_ms = int(tally["version"][0]) - ts_ms
                for number, group in enumerate(self.kind.groups):
                    if slot in group:
                        tally["recent"][0, number] += [
                            decayed(1.0, age_ms, lifetime) for lifetime in WINDOWS.values()
                        ]
        return tally
