"""What the stream jobs do with the log, without the log: the jobs' own steps, in this process.

Kafka and Flink only carry events to these steps. In a simulated day, whose hours are seconds, everybody would
wait for them; ``docs/decisions`` has the figures.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from features.aggregates import ACCOUNT, SHOWING, TWEET
from features.names import AFFINITY_S
from ingestion.events import (
    AnyEvent,
    ClientReport,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from pipelines.settings import StreamSettings
from pipelines.stream import content
from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.engagement_counts import EngagementWriter
from pipelines.stream.engagement_queries import LANDMARK_MS, MARKS, PAIRS, encode_mark
from pipelines.stream.fan_out import fan_out
from pipelines.stream.store import Store, StoreAddress
from pipelines.stream.tiers import FanOutTiers
from timelines import commands

Mark = tuple[int, int, int, int]
"""Id, slot, sign, event time."""


class Streams:
    """Events in the order of their times: those of the past are in the store, the others wait.

    Of the jobs there are ``timelines``, ``content`` and ``engagement``; ``trends`` and ``safety`` are not.
    """

    def __init__(self, settings: StreamSettings) -> None:
        address = StoreAddress.of(settings)
        self._store = Store(address)
        self._authors = Authors(AuthorTables({}, {}, {}))
        self._tiers = FanOutTiers.of(settings.timelines)
        self._engagement = EngagementWriter(address)
        self._engagement.open(_State())
        self._standing = Standing()
        self._activated: set[int] = set()
        self._waiting: list[tuple[int, int, AnyEvent]] = []
        self._numbers = itertools.count()
        self.log: list[Event] = []
        """What has happened and was not taken to the lake yet."""

    def add(self, events: Iterable[Event]) -> None:
        """Events of any time; those of the past are written by the next :meth:`advance`."""
        for event in events:
            heapq.heappush(self._waiting, (event.ts, next(self._numbers), cast(AnyEvent, event)))

    def advance(self, until_ms: int) -> None:
        """Write all that happens before ``until_ms``."""
        events: list[AnyEvent] = []
        while self._waiting and self._waiting[0][0] < until_ms:
            events.append(heapq.heappop(self._waiting)[2])
        if events:
            self._spread(events)
            self._count(events)
            self.log += events

    def close(self) -> None:
        self._engagement.close()
        self._store.close()

    def _spread(self, events: list[AnyEvent]) -> None:
        """The jobs ``timelines`` and ``content``."""
        store, keys = self._store, self._store.keys
        result = fan_out(events, self._authors, self._tiers, store.settings.length)
        with store.pipeline() as pipe:
            for follower, changes in result.edges.items():
                for followee, change in changes.items():
                    commands.set_followee(pipe, keys, follower, followee, *change)
            for tie in result.ties:
                commands.settle_tie(pipe, keys, *tie)
            commands.append_outbox(pipe, keys, store.settings, result.entries)
            commands.mark_pulled(pipe, keys, result.pulled)
            content.write(pipe, keys, events)
            met = {*result.deliveries.activate.tolist(), *result.deliveries.readers.tolist()}
            commands.activate(pipe, keys, store.settings, sorted(met - self._activated))
            self._activated |= met
        entries = result.deliveries.entries[result.deliveries.which]
        store.deliver(result.deliveries.readers, entries, again=False)

    def _count(self, events: list[AnyEvent]) -> None:
        """The job ``engagement``; its queries find in the log what these marks say of it."""
        marks = [mark for event in events for mark in self._standing.marks(event)]
        if marks:
            ids, codes = [mark[0] for mark in marks], [encode_mark(*mark[1:]) for mark in marks]
            self._engagement.process_element((MARKS, ids, codes, [0], [0.0]), None)
        if self._standing.changed:
            readers, authors, moments, weights = zip(*self._standing.take_pairs(), strict=True)
            self._engagement.process_element((PAIRS, readers, authors, moments, weights), None)


@dataclass
class Standing:
    """What of each pair stands; nobody here takes back a like, a retweet or a reply."""

    authors: dict[int, int] = field(default_factory=dict)
    pairs: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)
    changed: set[tuple[int, int]] = field(default_factory=set)

    def marks(self, event: Event) -> Iterator[Mark]:
        """The changes of counts that an event makes, each event once and by time."""
        ts = event.ts
        match event:
            case LikeChanged():
                yield event.tweet_id, TWEET.slot("likes"), 1, ts
                yield self._received(event.user_id, event.author_id, ts)
            case RetweetChanged():
                yield event.tweet_id, TWEET.slot("retweets"), 1, ts
                yield event.user_id, ACCOUNT.slot("tweets"), 1, ts
                yield self._received(event.user_id, event.author_id, ts)
            case FollowChanged():
                sign = 1 if event.active else -1
                yield event.followee_id, ACCOUNT.slot("followers"), sign, ts
                yield event.follower_id, ACCOUNT.slot("following"), sign, ts
            case TweetCreated():
                self.authors[event.tweet_id] = event.author_id
                yield event.author_id, ACCOUNT.slot("tweets"), 1, ts
                for about, slot in ((event.in_reply_to, "replies"), (event.quote_of, "quotes")):
                    if about is not None:
                        yield about, TWEET.slot(slot), 1, ts
                        yield self._received(event.author_id, self.authors[about], ts)
            case TweetDeleted():
                yield event.author_id, ACCOUNT.slot("tweets"), -1, ts
            case Impression():
                yield event.tweet_id, SHOWING.slot("impressions"), 1, ts
            case ClientReport(action="open"):
                yield event.tweet_id, SHOWING.slot("clicks"), 1, ts

    def take_pairs(self) -> list[tuple[int, int, int, float]]:
        """Reader, author, newest act and weight of each pair that changed since the last call."""
        pairs, self.changed = sorted(self.changed), set()
        return [(*pair, *self.pairs[pair]) for pair in pairs]

    def _received(self, reader: int, author: int, ts: int) -> Mark:
        newest, weight = self.pairs.get((reader, author), (0, 0.0))
        age = (ts - LANDMARK_MS) / (AFFINITY_S * 1000)
        self.pairs[reader, author] = (max(newest, ts), weight + float(np.exp(age)))
        self.changed.add((reader, author))
        return author, ACCOUNT.slot("received"), 1, ts


class _State:
    """The state of an operator that runs in no engine: maps that live as long as it does."""

    def get_map_state(self, descriptor: Any) -> _Map:
        return _Map()


class _Map(dict[int, bytes]):
    def put_all(self, values: dict[int, bytes]) -> None:
        self.update(values)
