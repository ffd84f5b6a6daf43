"""Who is pushed at once, who slowly, who is pulled at read: the rule, and how fast "slowly" is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec

from ingestion.events import FanOutChanged, Tier
from timelines.settings import TimelineSettings

STAYS_PULLED = 0.9
"""A pulled author becomes pushed below this share of ``pull_above``: coming back costs a delivery of all that
the outbox holds to every follower, so an author at the threshold must not swing."""


class FanOutTiers(msgspec.Struct, frozen=True):
    """The thresholds in force, in followers, and the deliveries a second that throttled authors share.

    ``since`` orders changes as events are ordered: (event time in ms, event id).
    """

    push_below: int
    pull_above: int
    throttled_per_second: int
    since: tuple[int, str] = (0, "")

    @classmethod
    def of(cls, settings: TimelineSettings) -> Self:
        """Where a job begins."""
        return cls(settings.push_below, settings.pull_above, settings.throttled_per_second)

    def changed(self, event: FanOutChanged) -> FanOutTiers:
        """What holds after the event; itself where the event is older or the same."""
        if event.order <= self.since:
            return self
        return FanOutTiers(event.push_below, event.pull_above, event.throttled_per_second, event.order)

    def of_a_share(self, shares: int) -> FanOutTiers:
        """The thresholds for one of so many equal shares of an author's followers."""
        below, above = -(-self.push_below // shares), -(-self.pull_above // shares)
        return FanOutTiers(below, above, self.throttled_per_second, self.since)

    def tier(self, followers: int, override: Tier | None, pulled: bool) -> Tier:
        """The tier of an author with so many followers who is pulled so far or not."""
        if override is not None:
            return override
        if followers >= self.pull_above * (STAYS_PULLED if pulled else 1.0):
            return "pull"
        return "push" if followers < self.push_below else "throttle"


@dataclass
class TokenBucket:
    """Deliveries allowed by now: ``per_second`` of them, at most a second's worth saved."""

    _tokens: float = 0.0
    _at_ms: int | None = None

    def take(self, now_ms: int, per_second: int) -> int:
        """The tokens there are; give back what is not used."""
        if self._at_ms is not None:
            gained = max(now_ms - self._at_ms, 0) * per_second / 1000
            self._tokens = min(self._tokens + gained, per_second)
        self._at_ms = now_ms
        taken = max(int(self._tokens), 0)
        self._tokens -= taken
        return taken

    def give_back(self, tokens: int) -> None:
        """Tokens not used; a negative number for more than were taken, which later ones make up for."""
        self._tokens += tokens
