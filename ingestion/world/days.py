"""When people write: a daily rhythm per place, and bursts of one hashtag in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingestion.snowflake import EPOCH_MS, MACHINE_BITS, SEQUENCE_BITS, TIME_SHIFT
from ingestion.world.people import Floats, Ints, People
from ingestion.world.plan import PLACE_HOURS, PLACES, WorldPlan
from timelines.durations import DAY_MS, HOUR_MS

BURST_SHARE = 0.45
"""Share of a place's people who join a burst there."""


@dataclass(frozen=True)
class Burst:
    place: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Originals:
    """Arrays over original tweets, by time: ``burst`` is an index into the bursts, or -1."""

    tweet_id: Ints
    ts: Ints
    author: Ints
    topic: Ints
    burst: Ints


def ids_of(ts: Ints, machine: int) -> Ints:
    """Snowflake ids of sorted moments; those of one millisecond are numbered."""
    first = np.searchsorted(ts, ts, side="left")
    sequence = np.arange(len(ts)) - first
    if (len(sequence) and sequence.max() >= 1 << SEQUENCE_BITS) or machine >= 1 << MACHINE_BITS:
        raise ValueError("More tweets in one millisecond than a Snowflake id can tell apart.")
    ids: Ints = ((ts - EPOCH_MS) << TIME_SHIFT) | (machine << SEQUENCE_BITS) | sequence
    return ids


def moments(plan: WorldPlan, place: Ints, rng: np.random.Generator) -> Ints:
    """[n] moments of the world, at each place's waking hours: quiet at four, busiest at twenty."""
    local = np.arange(24)
    rhythm = 1.0 + 0.85 * np.cos((local - 20) / 24 * 2 * np.pi) + 0.3 * np.cos((local - 12) / 12 * 2 * np.pi)
    cumulative = np.cumsum(rhythm) / rhythm.sum()
    hour = (
        np.minimum(np.searchsorted(cumulative, rng.random(len(place))), 23) - np.asarray(PLACE_HOURS)[place]
    )
    day = rng.integers(0, plan.days, len(place))
    ts: Ints = (
        plan.start_ms + day * DAY_MS + (hour % 24) * HOUR_MS + rng.integers(0, HOUR_MS, len(place))
    ).astype(np.int64)
    return ts


def make_bursts(plan: WorldPlan, rng: np.random.Generator) -> tuple[Burst, ...]:
    """Draw the bursts; the last one ends with the world, so that it trends at the end of a replay."""
    bursts = []
    for _ in range(plan.days * plan.bursts_per_day - 1):
        lasts = int(rng.integers(90, 240)) * 60_000
        start = int(rng.integers(plan.start_ms, plan.end_ms - 4 * HOUR_MS))
        bursts.append(Burst(int(rng.integers(len(PLACES))), start, start + lasts))
    bursts.append(Burst(0, plan.end_ms - 2 * HOUR_MS, plan.end_ms - 60_000))
    return tuple(bursts)


def make_originals(
    plan: WorldPlan, people: People, bursts: tuple[Burst, ...], rng: np.random.Generator
) -> Originals:
    """Draw who writes when about what, bursts included."""
    mean = plan.tweets_per_day * plan.days
    author = np.repeat(np.arange(plan.users), rng.poisson(people.activity * mean))
    ts = moments(plan, people.place[author], rng)
    burst = np.full(len(author), -1)
    authors, times, numbers = [author], [ts], [burst]
    for number, planted in enumerate(bursts):
        there = np.flatnonzero(people.place == planted.place)
        joining = there[rng.random(len(there)) < BURST_SHARE]
        joining = np.repeat(joining, 1 + (rng.random(len(joining)) < 0.4))
        spread: Floats = rng.beta(2.0, 2.5, len(joining)) * (planted.end_ms - planted.start_ms)
        authors.append(joining)
        times.append(planted.start_ms + spread.astype(np.int64))
        numbers.append(np.full(len(joining), number))
    author, ts, burst = np.concatenate(authors), np.concatenate(times), np.concatenate(numbers)
    cumulative = np.cumsum(people.topics, axis=1)[author]
    topic = np.minimum((cumulative < rng.random(len(author))[:, None]).sum(axis=1), plan.topics - 1)
    order = np.lexsort((author, ts))
    sorted_ts = ts[order]
    return Originals(
        ids_of(sorted_ts, machine=1),
        sorted_ts,
        author[order],
        topic[order].astype(np.int64),
        burst[order].astype(np.int64),
    )


def make_deletes(plan: WorldPlan, originals: Originals, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """[originals] when each is deleted (one in two hundred), or far beyond the world's end."""
    count = len(originals.ts)
    gone = rng.random(count) < 0.005
    at = originals.ts + 60_000 + (rng.exponential(6 * HOUR_MS, count)).astype(np.int64)
    deleted: Ints = np.where(gone & (at < plan.end_ms), at, plan.end_ms * 2)
    return deleted
