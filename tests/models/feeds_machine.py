"""A state machine of feeds: the fan-out code, a timeline store and the feed, beside the definition of a feed.

People live (``feeds_log``), thresholds change, and the job takes batches in any mingling
of the log's keys. A checkpoint copies the job's state and its place in the log; a crash gives them back,
with the store keeping what was written since, also half of a batch.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fan_out_model import new_tables
from feed_model import FeedModel
from feeds_log import AUTHORS, PEOPLE, FeedsLog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from store_under_test import StoreUnderTest

from ingestion.events import AnyEvent, AuthorTierChanged, FanOutChanged, Tier
from pipelines.stream import content
from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.backlog import Backlog
from pipelines.stream.deliveries import Deliveries
from pipelines.stream.fan_out import FanOut, fan_out
from pipelines.stream.tiers import FanOutTiers
from serving.feed.pipelines import Stores, chronological
from serving.feed.query import FeedQuery
from serving.pipeline.runner import Runner
from timelines import commands
from timelines.entry import Ids
from timelines.home import HomeReader
from timelines.reading import active_members
from timelines.settings import TimelineSettings

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


class Some:
    """A pipeline that keeps its commands: the first of them may be all that reached the store."""

    def __init__(self, most: int) -> None:
        self._most, self._commands = most, list[tuple[str, Any, Any]]()

    def __getattr__(self, command: str) -> Callable[..., None]:
        return lambda *args, **options: self._commands.append((command, args, options))

    def put(self, pipe: Any, _keys: Any) -> None:
        for command, args, options in self._commands[: self._most]:
            getattr(pipe, command)(*args, **options)


class Feeds(RuleBasedStateMachine):
    """Over ``store``, whatever it is."""

    def __init__(self, store: StoreUnderTest) -> None:
        super().__init__()
        self.log = FeedsLog()
        self.store = store.fresh(SETTINGS)
        self.checkpoint = Job()
        self.start(Job())

    def start(self, job: Job) -> None:
        self.job = job
        self.authors = Authors(job.tables, capacity=8)
        self.backlog = Backlog(job.backlog)
        self.store.write(commands.mark_pulled, self.authors.pulled())
        self.activated: set[int] = set()

    @initialize(chance=chances)
    def begin(self, chance: random.Random) -> None:
        self.log.live(chance, 25)

    @rule(chance=chances, events=st.integers(1, 12))
    def live(self, chance: random.Random, events: int) -> None:
        self.log.live(chance, events)

    @rule(thresholds=st.sampled_from(THRESHOLDS))
    def change_the_thresholds(self, thresholds: tuple[int, int]) -> None:
        number = self.log.next_number()
        below, above = thresholds
        event = FanOutChanged(
            event_id=f"s{number}", ts=number, push_below=below, pull_above=above, throttled_per_second=1
        )
        self.log.put(event)

    @rule(author=st.sampled_from(AUTHORS), tier=st.sampled_from((None, "push", "throttle", "pull")))
    def override_a_tier(self, author: int, tier: Tier | None) -> None:
        number = self.log.next_number()
        self.log.put(AuthorTierChanged(event_id=f"o{number}", ts=number, author_id=author, tier=tier))

    @rule(most=counts)
    def let_throttled_deliveries_through(self, most: int) -> None:
        turn = self.backlog.take(self.authors, most, self.last_read)
        self.job.waiting.append(turn.pushed)
        self.deliver(turn.returning)
        if turn.returned:
            self.store.write(commands.unmark_pulled, turn.returned)
            for author in turn.returned:
                self.authors.get(author).returning = False
            self.authors.save({}, (), turn.returned)

    @rule(data=st.data(), most=counts, checkpointed=st.booleans())
    def take_a_batch(self, data: st.DataObject, most: int, checkpointed: bool) -> None:
        self.write(self.batch(data.draw(st.permutations(sorted(self.log.keys))), most))
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
        self.write(self.batch(data.draw(st.permutations(sorted(self.log.keys))), most), only=written)
        self.crash()

    @rule()
    def read_the_log_again_from_its_beginning(self) -> None:
        self.job.places = {}

    @rule(store_too=st.booleans())
    def lose_the_state(self, store_too: bool) -> None:
        if store_too:
            self.store = self.store.fresh(SETTINGS)
        self.checkpoint = Job()
        self.start(Job())

    @rule(reader=people)
    def let_a_timeline_expire(self, reader: int) -> None:
        self.store.write(commands.drop_home, reader)

    @rule(reader=people)
    def read_meanwhile(self, reader: int) -> None:
        appearances = self.read(reader)
        assert appearances == sorted(set(appearances), reverse=True)

    @rule()
    def catch_up_and_compare(self) -> None:
        while any(self.job.places.get(key, 0) < len(events) for key, events in self.log.keys.items()):
            self.write(self.batch(sorted(self.log.keys), 3))
        while self.backlog:
            self.let_throttled_deliveries_through(1000)
        self.deliver_what_waits()
        model = FeedModel(self.log.history, SETTINGS.length)
        for reader in PEOPLE:
            assert self.read(reader) == model.feed(reader), reader
            scores = self.store.client.zrange(self.store.keys.likes(reader), 0, -1, withscores=True)
            assert set(active_members(scores).tolist()) == model.likes(reader), reader

    def teardown(self) -> None:
        self.catch_up_and_compare()

    def batch(self, keys: list[tuple[str, bytes]], most: int) -> tuple[list[AnyEvent], FanOut]:
        """The next events, at most so many of each key, keys in this order; what they change."""
        events = []
        for key in keys:
            place = self.job.places.get(key, 0)
            taken = self.log.keys[key][place : place + most]
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
        pipe, keys = Some(10**6 if only is None else only), self.store.keys
        for follower, changes in result.edges.items():
            for followee, change in changes.items():
                commands.set_followee(pipe, keys, follower, followee, *change)
        commands.append_outbox(pipe, keys, SETTINGS, result.entries)
        commands.mark_pulled(pipe, keys, result.pulled)
        content.write(pipe, keys, events)
        self.store.write(pipe.put)
        self.job.waiting.append(result.deliveries)
        for author in result.pulled:
            self.backlog.discard(author)
        for author, entries in result.returning.items():
            self.backlog.add(author, entries, NOW_MS, returning=True)
        for author, entries in result.throttled.items():
            self.backlog.add(author, entries, NOW_MS)

    def deliver(self, part: Deliveries) -> None:
        met = {*part.activate.tolist(), *part.readers.tolist()} - self.activated
        self.store.activate(*met)
        self.store.write(commands.deliver, SETTINGS, part.readers, part.entries[part.which])
        self.activated |= met

    def last_read(self, readers: Ids) -> Ids:
        """Just now, or not any more for those whose timeline expired; all were met."""
        self.store.activate(*readers.tolist())
        client, keys = self.store.client, self.store.keys
        there = [client.get(keys.home(reader)) is not None for reader in readers.tolist()]
        return np.where(there, NOW_MS, -1)

    def read(self, reader: int) -> list[int]:
        """The appearances that the chronological feed shows, newest first."""

        async def ask(client: Any) -> list[int]:
            keys = self.store.keys
            stores = Stores(client, keys, HomeReader(client, keys, SETTINGS))
            runner = Runner(time.monotonic, ())
            query = FeedQuery(reader, limit=1000, now_ms=NOW_MS, request_id="machine")
            run = await runner.run(chronological(stores), query)
            return [candidate.appearance_id for candidate in run.selected]

        shown: list[int] = self.store.run(ask)
        return shown
