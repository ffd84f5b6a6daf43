"""The arguments of a world, and the weights that its engagements are drawn with."""

from __future__ import annotations

from dataclasses import dataclass

from timelines.durations import DAY_MS

PLACES = ("Northport", "Alder Bay", "Santa Lucia", "Kasumi", "Mirefield", "Ostrava Nova")
PLACE_HOURS = (0, -5, -3, 9, 1, 2)
"""Hours that each place's day is ahead of UTC."""


class WorldError(ValueError):
    """The arguments describe no world; one sentence says why."""


@dataclass(frozen=True)
class Engagement:
    """Weights of the log-odds that a shown tweet is engaged with, and retweeted once engaged with."""

    intercept: float = -3.4
    reader: float = 0.6
    topic_match: float = 2.2
    author_quality: float = 0.9
    pair_affinity: float = 1.0
    age: float = -0.35
    popularity: float = 0.25
    position: float = -0.02
    retweet_intercept: float = -1.1
    retweet_author: float = 0.8
    retweet_reader: float = 0.6


@dataclass(frozen=True)
class Reporting:
    """Weights of what clients report; ``interest`` is the log-odds that the item is engaged with.

    The time of a look is log-normal: ``look_ms`` where these odds are even, ``look_spread`` its deviation.
    """

    open_intercept: float = -0.6
    open_interest: float = 0.7
    open_curiosity: float = 0.7
    look_ms: float = 4_500.0
    look_interest: float = 0.25
    look_patience: float = 0.5
    look_spread: float = 0.8
    hide_intercept: float = -10.3
    hide_interest: float = -1.1
    hide_irritability: float = 0.8
    hide_stranger: float = 1.5


@dataclass(frozen=True)
class WorldPlan:
    """A world follows from its plan alone: the same plan gives the same files.

    Attributes:
        followees: mean number of accounts that a user follows.
        tweets_per_day: mean originals per user and day, before bursts.
        sessions_per_day: mean pages that a user is shown per day.
        bursts_per_day: planted hashtags, each in one place for some hours; one of them ends with the world.
        attackers: accounts of a planted attack (``attack.py``), beside the users.
        start_ms: the world's first moment, milliseconds UTC.
    """

    seed: int = 7
    users: int = 2000
    days: int = 4
    start_ms: int = 1_767_571_200_000
    followees: float = 28.0
    tweets_per_day: float = 3.0
    sessions_per_day: float = 0.65
    page: int = 20
    topics: int = 12
    bursts_per_day: int = 3
    attackers: int = 0
    engagement: Engagement = Engagement()
    reporting: Reporting = Reporting()

    def __post_init__(self) -> None:
        if self.users < 20:
            raise WorldError(f"A world needs at least 20 users, not {self.users}.")
        if not 0 <= self.attackers <= 5000:
            raise WorldError(f"A world takes 0 to 5000 attackers, not {self.attackers}.")
        if self.days < 1:
            raise WorldError(f"A world needs at least one day, not {self.days}.")
        if self.users > 200_000:
            raise WorldError(f"A world of {self.users} users does not fit into memory; 200000 do.")
        if min(self.followees, self.tweets_per_day, self.sessions_per_day) <= 0:
            raise WorldError("Followees, tweets per day and sessions per day must be above 0.")

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.days * DAY_MS
