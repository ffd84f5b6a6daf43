"""What a closed loop is run with: the world's size, who reads how much, and the arms beside each other."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.world.plan import Engagement, WorldPlan
from stack.errors import UserError
from timelines.durations import DAY_MS

CHRONOLOGICAL, FIRST, CHAMPION = "chronological", "first", "champion"
ARMS = (CHRONOLOGICAL, FIRST, CHAMPION)
"""The feed newest first; the first model that was promoted, for ever; the champion of the day."""
LEAST_READERS = 40
GATE = {"ndcg_10_margin": 0.03, "mrr_margin": 0.04, "ap_margin": 0.02, "rce_margin": 4.0}
"""How wide the gate's margins are: some hundred lists of a small world give intervals of about that width."""

ATTRIBUTION_HOURS = 1
"""The attribution window: readers answer while they read, so that at midnight the day's labels are there."""

EAGER = Engagement(intercept=-2.6, retweet_intercept=-0.6)
"""Twice the engagements of the usual world: a day of some hundred readers has to be enough to learn from."""


@dataclass(frozen=True)
class LoopPlan:
    """The same plan gives the same run.

    Attributes:
        readers: people of the world; each of them writes and reads.
        sessions_per_day: mean number of times that a reader opens the feed.
        page: tweets that a reader reads each time.
        exploration: share of the ranked pages whose contested slot is given to chance.
        engagement: what makes readers engage.
    """

    days: int = 4
    readers: int = 300
    seed: int = 7
    sessions_per_day: float = 2.5
    page: int = 20
    exploration: float = 0.1
    engagement: Engagement = EAGER

    def __post_init__(self) -> None:
        if self.days < 2:
            raise UserError(f"The loop closes on its second day at the earliest: --days {self.days} is less.")
        if self.readers < LEAST_READERS:
            raise UserError(
                f"--readers {self.readers} is too few to share among three arms: give it {LEAST_READERS} "
                "or more."
            )

    @property
    def world(self) -> WorldPlan:
        return WorldPlan(
            seed=self.seed,
            users=self.readers,
            days=self.days,
            page=self.page,
            sessions_per_day=self.sessions_per_day,
            followees=40.0,
            tweets_per_day=6.0,
            engagement=self.engagement,
        )

    def ends_ms(self, day: int) -> int:
        """The midnight after a day, from 1."""
        return self.world.start_ms + day * DAY_MS
