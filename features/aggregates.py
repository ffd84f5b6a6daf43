"""Pure folds behind the engagement features: the one definition that stream and tests share.

An edge (a user's like or retweet of a tweet, a reply, a quote) counts while its last change, by
(event time, event id), is active. The last hour is counted in panes by the time of that last change.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["like", "retweet", "reply", "quote"]

PANE_MS = 5 * 60_000
HOUR_MS = 3_600_000

_HEADER = struct.Struct(">BQI")
_PANE = struct.Struct(">qIIII")
_STATE_VERSION = 1


class Engagements(NamedTuple):
    """Absolute numbers of one tweet (or of one pane of it)."""

    likes: int = 0
    retweets: int = 0
    replies: int = 0
    quotes: int = 0

    def plus(self, other: Engagements) -> Engagements:
        return Engagements(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


SLOTS: dict[Kind, int] = {"like": 0, "retweet": 1, "reply": 2, "quote": 3}


def pane_of(ts_ms: int) -> int:
    """The start of the pane that a moment lies in, ms UTC."""
    return ts_ms - ts_ms % PANE_MS


def falls_out(pane: int) -> int:
    """The moment from which a pane is no longer in the last hour, ms UTC."""
    return pane + HOUR_MS


def smoothed_rate(successes: float, trials: float, prior_rate: float, prior_weight: float) -> float:
    """``(successes + prior_weight * prior_rate) / (trials + prior_weight)``.

    Raises:
        ValueError: neither trials nor a prior to go by, or a negative number of them.
    """
    if trials < 0 or prior_weight < 0 or trials + prior_weight == 0:
        raise ValueError(f"No rate from {trials} trials with a prior of weight {prior_weight}.")
    return (successes + prior_weight * prior_rate) / (trials + prior_weight)


@dataclass
class TweetEngagement:
    """One tweet's engagements by pane; ``version`` is the event time the numbers are as of, ms UTC.

    ``replace`` and ``advance`` in any order and any number of times lead to the same numbers, given the
    same last value of each pane.
    """

    panes: dict[int, Engagements] = field(default_factory=dict)
    version: int = 0

    def replace(self, pane: int, counts: Engagements, changed: int) -> None:
        """Sets a pane to what it holds now; ``changed`` is the newest event time behind it, ms UTC."""
        if any(counts):
            self.panes[pane] = counts
        else:
            self.panes.pop(pane, None)
        self.advance(changed)

    def advance(self, ts_ms: int) -> None:
        """The numbers hold at ``ts_ms`` too; earlier moments change nothing."""
        self.version = max(self.version, ts_ms)

    def totals(self) -> Engagements:
        """All there are so far."""
        return Engagements(*map(sum, zip(*self.panes.values(), strict=True))) if self.panes else Engagements()

    def last_hour(self, now_ms: int) -> int:
        """Engagements of every kind in panes that ``now_ms`` has not outlived."""
        return sum(sum(counts) for pane, counts in self.panes.items() if falls_out(pane) > now_ms)

    def encode(self) -> bytes:
        """The packed state: version of the layout, version, panes."""
        panes = (_PANE.pack(pane, *counts) for pane, counts in sorted(self.panes.items()))
        return _HEADER.pack(_STATE_VERSION, self.version, len(self.panes)) + b"".join(panes)

    @classmethod
    def decode(cls, state: bytes | None) -> TweetEngagement:
        """What ``encode`` made; an empty one for None.

        Raises:
            ValueError: a layout this build does not know.
        """
        if state is None:
            return cls()
        layout, version, _ = _HEADER.unpack_from(state)
        if layout != _STATE_VERSION:
            raise ValueError(f"Engagement state of layout {layout} is not known.")
        panes = {pane: Engagements(*counts) for pane, *counts in _PANE.iter_unpack(state[_HEADER.size :])}
        return cls(panes, version)


@dataclass
class EngagementFold:
    """The definition in full, for one tweet: edges, last writer wins, and what they add up to."""

    edges: dict[tuple[Kind, Hashable], tuple[int, str, bool]] = field(default_factory=dict)

    def apply(self, kind: Kind, actor: Hashable, ts_ms: int, event_id: str, active: bool) -> None:
        """One change of one edge; older or repeated changes have no effect."""
        change = (ts_ms, event_id, active)
        if change[:2] >= self.edges.get((kind, actor), (-1, "", False))[:2]:
            self.edges[kind, actor] = change

    def apply_all(self, changes: Iterable[tuple[Kind, Hashable, int, str, bool]]) -> EngagementFold:
        for change in changes:
            self.apply(*change)
        return self

    def engagement(self) -> TweetEngagement:
        """The tweet's panes, as of the newest change."""
        tweet = TweetEngagement()
        for (kind, _), (ts_ms, _, active) in self.edges.items():
            tweet.advance(ts_ms)
            if active:
                one = Engagements(*(int(slot == SLOTS[kind]) for slot in range(len(SLOTS))))
                pane = pane_of(ts_ms)
                tweet.panes[pane] = tweet.panes.get(pane, Engagements()).plus(one)
        return tweet
