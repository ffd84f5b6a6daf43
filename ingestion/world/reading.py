"""What people are shown and do: pages of followees' tweets, engagements drawn from a known probability."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ingestion.world.answers import Act, Chances, acts_of, chances
from ingestion.world.days import Originals, moments
from ingestion.world.people import Follows, Ints, People
from ingestion.world.plan import WorldPlan
from timelines.durations import HOUR_MS

WINDOW_MS = 24 * HOUR_MS
RECENCY_MS = 6 * HOUR_MS
SECONDS_PER_ITEM = 3


@dataclass
class Log:
    """Rows as they happen: users and originals are indices; ``act_ms`` is when the reader acted.

    ``shown`` has (session, position, reader, original, ts) and ``truth`` the columns of
    ``truth_impressions`` from ``p_engaged`` on; the others have (reader, original, ts).
    """

    shown: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    truth: list[tuple[float, float, float, float, float, float, float, bool, bool]] = field(
        default_factory=list
    )
    likes: list[tuple[int, int, int]] = field(default_factory=list)
    retweets: list[tuple[int, int, int]] = field(default_factory=list)
    replies: list[tuple[int, int, int]] = field(default_factory=list)
    quotes: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """What was shown in one session, by position, and how likely each engagement was."""

    original: Ints
    chances: Chances


class Readers:
    """Runs the sessions of a world in time order: earlier engagements make a tweet more popular."""

    def __init__(
        self,
        plan: WorldPlan,
        people: People,
        follows: Follows,
        originals: Originals,
        deleted_ms: Ints,
        rng: np.random.Generator,
    ) -> None:
        self._plan, self._people, self._follows = plan, people, follows
        self._originals, self._deleted_ms, self._rng = originals, deleted_ms, rng
        self._affinity = np.zeros(plan.users)
        self._followed = np.zeros(plan.users, dtype=bool)
        self._popularity = np.zeros(len(originals.ts))
        self._retweet_ms: list[int] = []
        self._retweet_of: list[int] = []
        self._retweet_by: list[int] = []
        self._seen: dict[int, set[int]] = {}
        self.log = Log()
        self._acts: dict[Act, list[tuple[int, int, int]]] = {
            "like": self.log.likes,
            "retweet": self.log.retweets,
            "reply": self.log.replies,
            "quote": self.log.quotes,
        }

    def run(self) -> Log:
        """All sessions."""
        mean = self._plan.sessions_per_day * self._plan.days
        reader = np.repeat(np.arange(self._plan.users), self._rng.poisson(self._people.reading * mean))
        at = moments(self._plan, self._people.place[reader], self._rng)
        order = np.lexsort((reader, at))
        for session, index in enumerate(order.tolist()):
            ts = int(at[index])
            # A session that runs past the end would write past it.
            if ts + (self._plan.page + 2) * SECONDS_PER_ITEM * 1000 < self._plan.end_ms:
                self._read(session, int(reader[index]), ts)
        return self.log

    def _read(self, session: int, reader: int, now: int) -> None:
        edges = slice(self._follows.edge_of[reader], self._follows.edge_of[reader + 1])
        current = (self._follows.since_ms[edges] <= now) & (now < self._follows.until_ms[edges])
        followees = self._follows.followee[edges][current]
        self._followed[followees] = True
        self._affinity[followees] = self._follows.affinity[edges][current]
        page = self._page(reader, now)
        if len(page.original):
            self._act(session, reader, now, page)
        self._followed[followees] = False
        self._affinity[followees] = 0.0

    def _candidates(self, reader: int, now: int) -> Ints:
        ts = self._originals.ts
        low, high = np.searchsorted(ts, (now - WINDOW_MS, now))
        recent = np.arange(low, high)
        found = recent[self._followed[self._originals.author[low:high]]]
        start = len(self._retweet_ms) - 400
        again = [
            original
            for at, original, by in zip(
                self._retweet_ms[max(start, 0) :],
                self._retweet_of[max(start, 0) :],
                self._retweet_by[max(start, 0) :],
                strict=True,
            )
            if at < now and self._followed[by]
        ]
        both = np.unique(np.concatenate([found, np.asarray(again, dtype=np.int64)]))
        keep = (self._deleted_ms[both] > now) & (self._originals.author[both] != reader)
        both = both[keep]
        seen = self._seen.get(reader)
        if seen:
            both = both[~np.isin(both, np.fromiter(seen, np.int64, len(seen)))]
        fresh: Ints = both
        return fresh

    def _page(self, reader: int, now: int) -> Page:
        originals = self._originals
        both = self._candidates(reader, now)
        draw = -(now - originals.ts[both]) / RECENCY_MS + self._rng.gumbel(size=len(both))
        chosen = both[np.argsort(-draw)[: self._plan.page]]
        author = originals.author[chosen]
        drawn = chances(
            self._plan.engagement,
            self._people,
            reader,
            author,
            originals.topic[chosen],
            self._affinity[author],
            (now - originals.ts[chosen]) / HOUR_MS,
            self._popularity[chosen],
        )
        return Page(chosen, drawn)

    def _act(self, session: int, reader: int, now: int, page: Page) -> None:
        count = len(page.original)
        drawn = self._rng.random(count)
        truth = page.chances
        engaged, retweeted = drawn < truth.p_engaged, drawn < truth.p_retweeted
        how = self._rng.random((count, 2))
        self._seen.setdefault(reader, set()).update(page.original.tolist())
        for position, original in enumerate(page.original.tolist()):
            self.log.shown.append((session, position, reader, original, now))
            match, quality, affinity, age, popularity = truth.parts[position].tolist()
            self.log.truth.append(
                (
                    float(truth.p_engaged[position]),
                    float(truth.p_retweeted[position]),
                    match,
                    quality,
                    affinity,
                    age,
                    popularity,
                    bool(engaged[position]),
                    bool(retweeted[position]),
                )
            )
            if engaged[position]:
                at = now + (position + 1) * SECONDS_PER_ITEM * 1000 + int(how[position, 0] * 2000)
                self._engage(reader, original, at, bool(retweeted[position]), float(how[position, 1]))

    def _engage(self, reader: int, original: int, at: int, retweeted: bool, how: float) -> None:
        self._popularity[original] += 1
        for kind in acts_of(retweeted, how):
            # Who retweets likes it, if at all, just after.
            made = at + 400 if retweeted and kind == "like" else at
            self._acts[kind].append((reader, original, made))
        if retweeted:
            self._retweet_ms.append(at)
            self._retweet_of.append(original)
            self._retweet_by.append(reader)
