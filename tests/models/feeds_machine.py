"""A state machine of feeds: the fan-out code and the in-memory store, beside the definition of a feed.

It posts, follows, unfollows, likes, deletes and changes tiers, and lets the job take batches in any mingling
of the log's keys. A checkpoint copies the job's state and its place in the log; a crash gives them back,
with the store keeping what was written since, also half of a batch.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from fan_out_model import new_tables
from feed_model import FeedModel
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ingestion.events import (
    AnyEvent,
    AuthorTierChanged,
    FanOutChanged,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    Tier,
    TweetCreated,
    TweetDeleted,
)
from ingestion.topics import route
from pipelines.stream import content
from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.backlog import Backlog
from pipelines.stream.deliveries import Deliveries
from pipelines.stream.fan_out import FanOut, fan_out
from pipelines.stream.tiers import FanOutTiers
from timelines import commands
from timelines.bodies import decode_body
from timelines.entry import Ids
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.memory import AsyncMemoryRedis, MemoryRedis, MemoryStore
from timelines.reading import active_members
from timelines.settings import TimelineSettings

PEOPLE, AUTHORS = range(1, 7), range(1, 5)
KEYS = Keyspace("crashes", partitions=3)
SETTINGS = TimelineSettings(length=8, slack=4)
NOW_MS = 1_000_000_000_000
PUSH_ALL = FanOutTiers(push_below=9, pull_above=9, throttled_per_second=1)
THRESHOLDS = ((1, 1), (2, 4), (3, 5), (5, 5), (9, 9))

# With few followers the band in which a pulled author stays so has to be wider.
WIDE_BAND = 0.6

people = st.sampled_from(PEOPLE)
counts = st.integers(1, 6)
chances = st.randoms(use_true_random=True)


class Table(dict[int, bytes]):
    """A dictionary whose rows can be listed while they change."""

    def items(self) -> list[tuple[int, bytes]]:  # type: ignore[override]
        return list(super().items())


@dataclass
class Job:
    """The job's checkpointed state: authors, tiers, how far each key was read, what waits for delivery."""

    tables: AuthorTables = field(default_factory=new_tables)
    backlog: Table = field(default_factory=Table)
    tiers: FanOutTiers = PUSH_ALL
    places: dict[tuple[str, bytes], int] = field(default_factory=dict)
    waiting: list[Deliveries] = field(default_factory=list)


class Feeds(RuleBasedStateMachine):
    """Events are numbered; ``late`` ones get a number left free earlier, in ids and times alike."""

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[tuple[str, bytes], list[AnyEvent]] = defaultdict(list)
        self.history: list[AnyEvent] = []
        self.number = 0
        self.free: list[int] = []
        self.store = MemoryStore()
        self.checkpoint = Job()
        self.start(Job())

    def start(self, job: Job) -> None:
        self.job = job
        self.authors = Authors(job.tables, capacity=8)
        self.backlog = Backlog(job.backlog)
        pipe = MemoryRedis(self.store).pipeline(transaction=False)
        commands.mark_pulled(pipe, KEYS, self.authors.pulled())
        pipe.execute()
        self.activated: set[int] = set()

    def next_number(self, late: bool) -> int:
        if late and self.free:
            return self.free.pop()
        self.number += 2
        self.free.append(self.number - 1)
        return self.number

    def put(self, event: AnyEvent) -> None:
        topic, key = route(event)
        self.log[topic.name, key].append(event)
        self.history.append(event)

    @rule(chance=chances, events=st.integers(1, 12))
    def live(self, chance: random.Random, events: int) -> None:
        self.live_on(chance, events)

    def live_on(self, chance: random.Random, events: int) -> None:
        """A burst of events: steps of one event each would make histories in which hardly anything meets."""
        for _ in range(events):
            act = chance.choice(("post", "post", "follow", "follow", "retweet", "like", "delete"))
            late = chance.random() < 0.3
            posted = [event for event in self.history if isinstance(event, TweetCreated)]
            if act in ("post", "follow") or not posted:
                self.post(chance.choice(AUTHORS), late)
                if act == "follow":
                    self.follow(chance.choice(PEOPLE), chance.choice(AUTHORS), chance.random() < 0.7, late)
            else:
                self.react(act, chance.choice(PEOPLE), chance.choice(posted), chance.random() < 0.7)

    @initialize(chance=chances)
    def begin(self, chance: random.Random) -> None:
        self.live_on(chance, 25)

    def post(self, author: int, late: bool) -> None:
        number = self.next_number(late)
        self.put(TweetCreated(event_id=f"t{number}", ts=number, tweet_id=number, author_id=author, text="x"))

    def follow(self, follower: int, followee: int, active: bool, late: bool) -> None:
        number = self.next_number(late)
        edge = FollowChanged(
            event_id=f"f{number}", ts=number, follower_id=follower, followee_id=followee, active=active
        )
        self.put(edge)

    def react(self, act: str, user: int, tweet: TweetCreated, active: bool) -> None:
        number = self.next_number(late=False)
        about = {"ts": number, "tweet_id": tweet.tweet_id, "author_id": tweet.author_id}
        if act == "like":
            self.put(LikeChanged(event_id=f"l{number}", user_id=user, active=active, **about))
        elif act == "delete":
            self.put(TweetDeleted(event_id=f"d{number}", **about))
        else:
            made = RetweetChanged(
                event_id=f"r{number}", retweet_id=number, user_id=user, active=True, **about
            )
            self.put(made)
            if not active:
                self.put(msgspec.structs.replace(made, event_id=f"u{number}", active=False))

    @rule(thresholds=st.sampled_from(THRESHOLDS))
    def change_the_thresholds(self, thresholds: tuple[int, int]) -> None:
        number = self.next_number(late=False)
        below, above = thresholds
        event = FanOutChanged(
            event_id=f"s{number}", ts=number, push_below=below, pull_above=above, throttled_per_second=1
        )
        self.put(event)

    @rule(author=st.sampled_from(AUTHORS), tier=st.sampled_from((None, "push", "throttle", "pull")))
    def override_a_tier(self, author: int, tier: Tier | None) -> None:
        number = self.next_number(late=False)
        self.put(AuthorTierChanged(event_id=f"o{number}", ts=number, author_id=author, tier=tier))

    @rule(most=counts)
    def let_throttled_deliveries_through(self, most: int) -> None:
        turn = self.backlog.take(self.authors, most, self.last_read)
        self.job.waiting.append(turn.pushed)
        self.deliver(turn.returning)
        if turn.returned:
            pipe = MemoryRedis(self.store).pipeline(transaction=False)
            commands.unmark_pulled(pipe, KEYS, turn.returned)
            pipe.execute()
            for author in turn.returned:
                self.authors.get(author).returning = False
            self.authors.save({}, (), turn.returned)

    @rule(data=st.data(), most=counts, checkpointed=st.booleans())
    def take_a_batch(self, data: st.DataObject, most: int, checkpointed: bool) -> None:
        self.write(self.batch(data.draw(st.permutations(sorted(self.log))), most))
        if checkpointed:
            self.complete_a_checkpoint()

    @rule()
    def deliver_what_waits(self) -> None:
        parts, self.job.waiting = self.job.waiting, []
        for part in parts:
            self.deliver(part)

    def complete_a_checkpoint(self) -> None:
        self.checkpoint = copy.deepcopy(self.job)

    @rule()
    def crash(self) -> None:
        self.start(copy.deepcopy(self.checkpoint))

    @rule(data=st.data(), most=counts, written=counts)
    def crash_amid_the_writes_of_a_batch(self, data: st.DataObject, most: int, written: int) -> None:
        self.write(self.batch(data.draw(st.permutations(sorted(self.log))), most), only=written)
        self.crash()

    @rule()
    def read_the_log_again_from_its_beginning(self) -> None:
        self.job.places = {}

    @rule(store_too=st.booleans())
    def lose_the_state(self, store_too: bool) -> None:
        if store_too:
            self.store = MemoryStore()
        self.checkpoint = Job()
        self.start(Job())

    @rule(reader=people)
    def let_a_timeline_expire(self, reader: int) -> None:
        commands.drop_home(self.store, KEYS, reader)

    @rule(reader=people)
    def read_meanwhile(self, reader: int) -> None:
        appearances = self.read(reader)
        assert appearances == sorted(set(appearances), reverse=True)

    @rule()
    def catch_up_and_compare(self) -> None:
        while any(self.job.places.get(key, 0) < len(events) for key, events in self.log.items()):
            self.write(self.batch(sorted(self.log), 3))
        while self.backlog:
            self.let_throttled_deliveries_through(1000)
        self.deliver_what_waits()
        model = FeedModel(self.history, SETTINGS.length)
        for reader in PEOPLE:
            assert self.read(reader) == model.feed(reader), reader
            scores = self.store.zrange(KEYS.likes(reader), 0, -1, withscores=True)
            assert set(active_members(scores).tolist()) == model.likes(reader), reader

    def teardown(self) -> None:
        self.catch_up_and_compare()

    def batch(self, keys: list[tuple[str, bytes]], most: int) -> tuple[list[AnyEvent], FanOut]:
        """The next events, at most so many of each key, keys in this order; what they change."""
        events = []
        for key in keys:
            place = self.job.places.get(key, 0)
            taken = self.log[key][place : place + most]
            self.job.places[key] = place + len(taken)
            events += taken
        recheck = self.recheck(events)
        return events, fan_out(events, self.authors, self.job.tiers, SETTINGS.length, recheck)

    def recheck(self, events: list[AnyEvent]) -> list[int]:
        """The authors whose tier these events may change without a follow or a tweet."""
        found: list[int] = []
        for event in events:
            match event:
                case FanOutChanged():
                    self.job.tiers = self.job.tiers.changed(event)
                    found += self.authors.due_to_cross(self.job.tiers)
                case AuthorTierChanged():
                    self.authors.get(event.author_id).override = event.tier
                    found.append(event.author_id)
        return found

    def write(self, batch: tuple[list[AnyEvent], FanOut], only: int | None = None) -> None:
        """What the operators of ``timelines`` and ``content`` write, or the first commands of it."""
        events, result = batch
        pipe: Any = MemoryRedis(self.store).pipeline(transaction=False)
        for follower, changes in result.edges.items():
            for followee, change in changes.items():
                commands.set_followee(pipe, KEYS, follower, followee, *change)
        commands.append_outbox(pipe, KEYS, SETTINGS, result.entries)
        commands.mark_pulled(pipe, KEYS, result.pulled)
        content.write(pipe, KEYS, events)
        if only is not None:
            del pipe._queued[only:]
        pipe.execute()
        self.job.waiting.append(result.deliveries)
        for author in result.pulled:
            self.backlog.discard(author)
        for author, entries in result.returning.items():
            self.backlog.add(author, entries, NOW_MS, returning=True)
        for author, entries in result.throttled.items():
            self.backlog.add(author, entries, NOW_MS)

    def deliver(self, part: Deliveries) -> None:
        pipe = MemoryRedis(self.store).pipeline(transaction=False)
        met = {*part.activate.tolist(), *part.readers.tolist()} - self.activated
        commands.activate(pipe, KEYS, SETTINGS, met)
        commands.deliver(pipe, KEYS, SETTINGS, part.readers, part.entries[part.which])
        pipe.execute()
        self.activated |= met

    def last_read(self, readers: Ids) -> Ids:
        """Just now, or not any more for those whose timeline expired; all were met."""
        pipe = MemoryRedis(self.store).pipeline(transaction=False)
        commands.activate(pipe, KEYS, SETTINGS, readers.tolist())
        pipe.execute()
        there = [self.store.get(KEYS.home(reader)) is not None for reader in readers.tolist()]
        return np.where(there, NOW_MS, -1)

    def read(self, reader: int) -> list[int]:
        """The appearances that a feed would show, newest first."""
        home = asyncio.run(HomeReader(AsyncMemoryRedis(self.store), KEYS, SETTINGS).read(reader))
        shown = []
        for appearance, original in zip(
            home.entries["appearance"].tolist(), home.entries["original"].tolist(), strict=True
        ):
            stored = self.store.get(KEYS.tweet(original))
            if stored is not None and not decode_body(stored).deleted:
                shown.append(appearance)
        return shown
