"""The readers of a simulated day: when they open the feed, what they have read, how they answer a page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ingestion.events import AuthorHidden, ClientReport, Event, LikeChanged, RetweetChanged, TweetCreated
from ingestion.snowflake import snowflake
from ingestion.world.answers import Chances, acts_of, chances
from ingestion.world.days import moments
from ingestion.world.generate import Ground
from ingestion.world.people import Floats, Ints
from ingestion.world.plan import PLACES
from ingestion.world.reading import SECONDS_PER_ITEM
from ingestion.world.reporting import make_reports, report_chances
from ingestion.world.writing import write_texts
from timelines.durations import HOUR_MS

MACHINES = {"reply": 2, "retweet": 3, "quote": 4}
READING = (0.3, 3.0)
"""Who reads least and most, relative to the mean: a figure per reader needs more than one page of each."""


@dataclass(frozen=True)
class Session:
    """One time that a reader, by id, opens the feed."""

    ts: int
    reader: int


@dataclass(frozen=True)
class Shown:
    """A tweet on a page: the request and the position in it."""

    tweet: int
    request_id: str
    position: int


@dataclass(frozen=True)
class Answers:
    """What one session brought: how many tweets were ``engaged`` with, and the events of it."""

    engaged: int
    events: list[Event]


@dataclass(frozen=True)
class Tweet:
    """What the truth of an engagement depends on; ``author`` is an index."""

    author: int
    topic: int
    ts: int


def sessions(ground: Ground, rng: np.random.Generator) -> list[Session]:
    """All sessions of the world, by time; readers differ in how often, and open it in their waking hours."""
    plan = ground.plan
    often = np.clip(ground.people.reading, *READING)
    mean = often / often.mean() * plan.sessions_per_day * plan.days
    reader = np.repeat(np.arange(plan.users), rng.poisson(mean))
    ts = moments(plan, ground.people.place[reader], rng)
    order = np.lexsort((reader, ts))
    drawn = zip(ts[order].tolist(), reader[order].tolist(), strict=True)
    return [Session(at, who + 1) for at, who in drawn]


class Readership:
    """All readers, with what they have read and done so far. Ids are the world's: an index + 1.

    A tweet is read once: shown again it is passed over, as are one's own.
    """

    def __init__(self, ground: Ground, rng: np.random.Generator) -> None:
        self._ground, self._rng = ground, rng
        originals = ground.originals
        self._tweets = {
            tweet: Tweet(author, topic, ts)
            for tweet, author, topic, ts in zip(
                originals.tweet_id.tolist(),
                originals.author.tolist(),
                originals.topic.tolist(),
                originals.ts.tolist(),
                strict=True,
            )
        }
        self._popularity: dict[int, int] = {}
        self._read: dict[int, set[int]] = {}
        self._sequence = itertools.count()

    def unread(self, reader: int, tweets: Sequence[int]) -> list[int]:
        """The places of what the reader will read of these tweets."""
        read = self._read.get(reader, set())
        return [
            place
            for place, tweet in enumerate(tweets)
            if tweet not in read and self._tweets[tweet].author != reader - 1
        ]

    def chances(self, reader: int, now: int, tweets: Sequence[int]) -> Chances:
        """How likely the reader is to engage with each of the tweets, read in this order."""
        known = [self._tweets[tweet] for tweet in tweets]
        author = np.array([tweet.author for tweet in known], dtype=np.int64)
        return chances(
            self._ground.plan.engagement,
            self._ground.people,
            reader - 1,
            author,
            np.array([tweet.topic for tweet in known], dtype=np.int64),
            self._affinity(reader - 1, author, now),
            np.array([(now - tweet.ts) / HOUR_MS for tweet in known]),
            np.array([self._popularity.get(tweet, 0) for tweet in tweets], dtype=np.float64),
        )

    def answer(self, reader: int, now: int, shown: Sequence[Shown]) -> Answers:
        """What the reader does with what is read, drawn by the planted chances: acts and reports."""
        truth = self.chances(reader, now, [item.tweet for item in shown])
        drawn, how = self._rng.random(len(shown)), self._rng.random((len(shown), 2))
        self._read.setdefault(reader, set()).update(item.tweet for item in shown)
        engaged = drawn < truth.p_engaged
        events: list[Event] = []
        for place, item in enumerate(shown):
            at = now + (place + 1) * SECONDS_PER_ITEM * 1000 + int(how[place, 0] * 2000)
            events.append(_report(reader, item, "shown", now + place * SECONDS_PER_ITEM * 1000))
            if engaged[place]:
                retweeted = bool(drawn[place] < truth.p_retweeted[place])
                events += self._acts(reader, item.tweet, at, retweeted, float(how[place, 1]))
        events += self._reports(reader, now, shown, truth)
        return Answers(int(engaged.sum()), events)

    def _reports(self, reader: int, now: int, shown: Sequence[Shown], truth: Chances) -> Iterator[Event]:
        """What the client says was opened, looked at for long, hidden or reported."""
        plan, count = self._ground.plan, len(shown)
        # Only who is not followed adds nothing at all.
        followed = truth.parts[:, 2] != 0.0
        who = np.full(count, reader - 1, dtype=np.int64)
        chances = report_chances(plan.reporting, self._ground.tempers, who, truth.p_engaged, followed)
        at = np.full(count, now, dtype=np.int64)
        rows = make_reports(plan, chances, np.arange(count), at, self._rng)
        for place, action, ms, ts in zip(*rows, strict=True):
            item = shown[place]
            yield _report(reader, item, action, int(ts), ms)
            if action in ("hide", "report"):
                yield AuthorHidden(
                    event_id=f"loop:hidden:{item.request_id}:{item.position}",
                    ts=int(ts),
                    user_id=reader,
                    author_id=self._tweets[item.tweet].author + 1,
                )

    def _acts(self, reader: int, tweet: int, at: int, retweeted: bool, how: float) -> Iterator[Event]:
        self._popularity[tweet] = self._popularity.get(tweet, 0) + 1
        author = self._tweets[tweet].author + 1
        for kind in acts_of(retweeted, how):
            event_id = f"loop:{kind}:{reader}:{tweet}"
            if kind == "like":
                yield LikeChanged(
                    event_id=event_id, ts=at, user_id=reader, tweet_id=tweet, author_id=author, active=True
                )
                continue
            number = snowflake(at, MACHINES[kind], next(self._sequence) % 4096)
            if kind == "retweet":
                yield RetweetChanged(
                    event_id=event_id,
                    ts=at,
                    retweet_id=number,
                    user_id=reader,
                    tweet_id=tweet,
                    author_id=author,
                    active=True,
                )
            else:
                yield self._written(event_id, number, reader, tweet, at, is_reply=kind == "reply")

    def _written(
        self, event_id: str, number: int, reader: int, about: int, at: int, is_reply: bool
    ) -> TweetCreated:
        """A reply to a tweet or a quote of it, about the same topic."""
        topic, author = self._tweets[about].topic, self._tweets[about].author + 1
        self._tweets[number] = Tweet(reader - 1, topic, at)
        texts, tags = write_texts(self._ground.vocabulary, np.array([topic]), np.array([-1]), self._rng)
        return TweetCreated(
            event_id=event_id,
            ts=at,
            tweet_id=number,
            author_id=reader,
            text=f"@user{author} {texts[0]}"[:280] if is_reply else texts[0],
            lang="en",
            place=PLACES[self._ground.people.place[reader - 1]],
            in_reply_to=about if is_reply else None,
            quote_of=None if is_reply else about,
            hashtags=tuple(tags[0]),
            mentions=(author,) if is_reply else (),
        )

    def _affinity(self, reader: int, author: Ints, now: int) -> Floats:
        """[n] of the reader, an index, for each author; 0 where there is no follow."""
        follows = self._ground.follows
        edges = slice(follows.edge_of[reader], follows.edge_of[reader + 1])
        stands = (follows.since_ms[edges] <= now) & (now < follows.until_ms[edges])
        known = dict(
            zip(
                follows.followee[edges][stands].tolist(),
                follows.affinity[edges][stands].tolist(),
                strict=True,
            )
        )
        return np.array([known.get(who, 0.0) for who in author.tolist()], dtype=np.float64)


def _report(reader: int, item: Shown, action: str, ts: int, ms: int | None = None) -> ClientReport:
    return ClientReport(
        event_id=f"loop:{action}:{item.request_id}:{item.position}",
        ts=ts,
        feed_request_id=item.request_id,
        user_id=reader,
        tweet_id=item.tweet,
        position=item.position,
        action=action,  # type: ignore[arg-type]
        ms=ms,
    )
