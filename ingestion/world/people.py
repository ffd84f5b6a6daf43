"""The people of a world: interests, places, temper, and whom they follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingestion.world.plan import PLACES, WorldPlan

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ROWS_AT_ONCE = 200


@dataclass(frozen=True)
class People:
    """Arrays over users; a user's id is its index + 1.

    Attributes:
        topics: [users, topics] interests, each row sums to 1.
        place: [users] index into PLACES.
        quality: [users] how engaging their tweets are.
        shareable: [users] how likely those are to be retweeted once engaged with.
        activity: [users] tweets relative to the mean.
        reading: [users] sessions relative to the mean.
        warmth: [users] how readily they engage.
        retweeting: [users] how readily they retweet.
    """

    topics: Floats
    place: Ints
    quality: Floats
    shareable: Floats
    activity: Floats
    reading: Floats
    warmth: Floats
    retweeting: Floats


@dataclass(frozen=True)
class Follows:
    """Edges sorted by follower; ``edge_of[u]:edge_of[u + 1]`` are those of follower ``u``.

    Attributes:
        followee: [edges] index of the account followed.
        affinity: [edges] what the pair adds to the log-odds of an engagement.
        since_ms: [edges] when the edge was made; ``until_ms`` [edges] when it was taken back, if ever.
    """

    edge_of: Ints
    followee: Ints
    affinity: Floats
    since_ms: Ints
    until_ms: Ints

    @property
    def follower(self) -> Ints:
        return np.repeat(np.arange(len(self.edge_of) - 1), np.diff(self.edge_of))


def make_people(plan: WorldPlan, rng: np.random.Generator) -> People:
    """Draw the people."""
    users = plan.users
    activity = rng.lognormal(0.0, 1.0, users)
    reading = rng.lognormal(0.0, 1.1, users)
    return People(
        topics=rng.dirichlet(np.full(plan.topics, 0.25), users),
        place=rng.choice(len(PLACES), users, p=_falling(len(PLACES), 0.5)),
        quality=rng.normal(0.0, 1.0, users),
        shareable=rng.normal(0.0, 1.0, users),
        activity=activity / activity.mean(),
        reading=reading / reading.mean(),
        warmth=rng.normal(0.0, 1.0, users),
        retweeting=rng.normal(0.0, 1.0, users),
    )


def make_follows(plan: WorldPlan, people: People, rng: np.random.Generator) -> Follows:
    """Draw the graph: popularity falls by a power law over active authors, tilted to shared interests.

    Nine in ten edges are there before the world begins, the rest are made in its course; one in a hundred
    is taken back.
    """
    users = plan.users
    rank = np.argsort(np.argsort(-people.activity * rng.lognormal(0.0, 1.0, users)))
    fame = 0.9 * -np.log(rank + 3.0)
    spread = rng.lognormal(0.0, 0.7, users)
    wanted = np.clip(spread / spread.mean() * plan.followees, 3, users // 3).astype(np.int64)
    chosen: list[Ints] = []
    for low in range(0, users, ROWS_AT_ONCE):
        high = min(low + ROWS_AT_ONCE, users)
        shared = people.topics[low:high] @ people.topics.T
        draw = fame + 2.5 * shared + rng.gumbel(size=(high - low, users))
        draw[np.arange(high - low), np.arange(low, high)] = -np.inf
        best = np.argsort(-draw, axis=1)
        chosen.extend(np.sort(row[:count]) for row, count in zip(best, wanted[low:high], strict=True))
    followee = np.concatenate(chosen)
    edges = len(followee)
    span = plan.end_ms - plan.start_ms
    late = rng.random(edges) < 0.1
    since = np.where(late, plan.start_ms + (rng.random(edges) * 0.9 * span).astype(np.int64), plan.start_ms)
    left = rng.random(edges) < 0.01
    until = np.where(
        left,
        since + 1000 + (rng.random(edges) * (plan.end_ms - since - 2000)).astype(np.int64),
        plan.end_ms * 2,
    )
    close = rng.random(edges) < 0.2
    affinity = np.where(close, rng.normal(1.9, 0.4, edges), rng.normal(-0.5, 0.3, edges))
    return Follows(np.concatenate([[0], np.cumsum(wanted)]), followee, affinity, since, until)


def _falling(count: int, power: float) -> Floats:
    weights = (np.arange(count) + 1.0) ** -power
    falling: Floats = weights / weights.sum()
    return falling
