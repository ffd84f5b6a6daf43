"""A state machine of feeds: the fan-out code, a timeline store and the feed, beside the definition of a feed.

People live (``feeds_log``), thresholds change, and the job (``fan_out_job``) takes batches in any mingling
of the log's keys. A checkpoint copies the job's state and its place in the log; a crash gives them back,
with the store keeping what was written since, also half of a batch.
"""

from __future__ import annotations

import copy
import os
import random
import secrets
import time
from collections.abc import Callable
from typing import Any

from fan_out_job import NOW_MS, SHARES, FanOutJob, JobState
from feed_model import FeedModel
from feeds_log import AUTHORS, PEOPLE, FeedsLog
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from store_under_test import StoreUnderTest

from ingestion.events import AnyEvent, AuthorTierChanged, FanOutChanged, Tier
from serving.feed.pipelines import Stores, chronological
from serving.feed.query import FeedQuery
from serving.pipeline.runner import Runner
from timelines import commands
from timelines.home import HomeReader
from timelines.reading import active_members
from timelines.settings import TimelineSettings

SETTINGS = TimelineSettings(length=8, slack=4)
THRESHOLDS = ((1, 1), (2, 4), (3, 5), (5, 5), (9, 9))

# With few followers the band in which a pulled author stays so has to be wider.
WIDE_BAND = 0.6

people = st.sampled_from(PEOPLE)
counts = st.integers(1, 6)
chances = st.randoms(use_true_random=True)


class Feeds(RuleBasedStateMachine):
    """Over ``store``, whatever it is."""

    def __init__(self, store: StoreUnderTest) -> None:
        super().__init__()
        self.log = FeedsLog()
        self.store = store.fresh(SETTINGS)
        self.spread_above = 99
        self.checkpoint = JobState()
        self.start(JobState())

    def start(self, state: JobState) -> None:
        self.job = FanOutJob(state, self.store, self.spread_above)

    @initialize(chance=chances, spread_above=st.sampled_from((2, 4, 99)))
    def begin(self, chance: random.Random, spread_above: int) -> None:
        self.spread_above = self.job.spread_above = spread_above
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

    @rule(shard=st.integers(0, SHARES), most=counts)
    def let_throttled_deliveries_through(self, shard: int, most: int) -> None:
        self.job.turn(self.job.shards[shard], most)

    @rule(data=st.data(), most=counts, checkpointed=st.booleans())
    def take_a_batch(self, data: st.DataObject, most: int, checkpointed: bool) -> None:
        self.job.take(self.batch(data.draw(st.permutations(sorted(self.log.keys))), most))
        if checkpointed:
            self.complete_a_checkpoint()

    @rule(number=st.integers(0, SHARES - 1))
    def tell_a_share(self, number: int) -> None:
        self.job.tell_a_share(number)

    @rule()
    def deliver_what_waits(self) -> None:
        self.job.deliver_what_waits()

    def complete_a_checkpoint(self) -> None:
        self.checkpoint = copy.deepcopy(self.job.state)

    @rule()
    def crash(self) -> None:
        self.start(copy.deepcopy(self.checkpoint))

    @rule(data=st.data(), most=counts, written=counts)
    def crash_amid_the_writes_of_a_batch(self, data: st.DataObject, most: int, written: int) -> None:
        self.job.take(self.batch(data.draw(st.permutations(sorted(self.log.keys))), most), only=written)
        self.crash()

    @rule()
    def read_the_log_again_from_its_beginning(self) -> None:
        self.job.state.places = {}

    @rule(store_too=st.booleans())
    def lose_the_state(self, store_too: bool) -> None:
        if store_too:
            self.store = self.store.fresh(SETTINGS)
        self.checkpoint = JobState()
        self.start(JobState())

    @rule(reader=people)
    def let_a_timeline_expire(self, reader: int) -> None:
        self.store.write(commands.drop_home, reader)

    @rule(reader=people)
    def read_meanwhile(self, reader: int) -> None:
        appearances = self.read(reader)
        assert appearances == sorted(set(appearances), reverse=True)

    @rule(chance=chances)
    def catch_up_and_compare(self, chance: random.Random) -> None:
        while any(self.place(key) < len(events) for key, events in self.log.keys.items()):
            keys = sorted(self.log.keys)
            chance.shuffle(keys)
            self.job.take(self.batch(keys[: len(keys) // 2 + 1], chance.randint(1, 3)))
            self.job.tell_a_share(chance.randrange(SHARES))
            self.job.turn(chance.choice(self.job.shards), chance.randint(1, 4))
        self.job.finish()
        model = FeedModel(self.log.history, SETTINGS.length)
        for reader in PEOPLE:
            assert self.read(reader) == model.feed(reader), reader
            scores = self.store.client.zrange(self.store.keys.likes(reader), 0, -1, withscores=True)
            assert set(active_members(scores).tolist()) == model.likes(reader), reader

    def teardown(self) -> None:
        self.catch_up_and_compare(random.Random(len(self.log.history)))

    def place(self, key: tuple[str, bytes]) -> int:
        return self.job.state.places.get(key, 0)

    def batch(self, keys: list[tuple[str, bytes]], most: int) -> list[AnyEvent]:
        """The next events, at most so many of each key, keys in this order."""
        events = []
        for key in keys:
            taken = self.log.keys[key][self.place(key) :][:most]
            self.job.state.places[key] = self.place(key) + len(taken)
            events += taken
        return events

    def read(self, reader: int) -> list[int]:
        """The appearances that the chronological feed shows, newest first."""

        async def ask(client: Any) -> list[int]:
            keys = self.store.keys
            stores = Stores(client, keys, HomeReader(client, keys, SETTINGS))
            runner = Runner(time.monotonic, ())
            query = FeedQuery(reader, limit=1000, now_ms=NOW_MS, request_id="machine")
            run = await runner.run(chronological(stores), query)
            found: list[int] = run.selected.appearance.tolist()
            return found

        shown: list[int] = self.store.run(ask)
        return shown


def chosen_seed() -> int:
    """``TIDELINE_SEED``, or any; printed."""
    number = int(os.environ.get("TIDELINE_SEED") or secrets.randbelow(1 << 32))
    print(f"TIDELINE_SEED={number}")
    return number


def run_histories(make_store: Callable[[], StoreUnderTest], examples: int, steps: int) -> None:
    """Feeds over so many stores, or ``TIDELINE_EXAMPLES`` of them, through histories of so many steps."""
    options = settings(
        max_examples=int(os.environ.get("TIDELINE_EXAMPLES", str(examples))),
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(chosen_seed())(lambda: Feeds(make_store())), settings=options)
