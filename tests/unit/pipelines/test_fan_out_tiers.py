"""Tiers of fan-out: thresholds and overrides change at any moment, and nobody loses or gets twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from fan_out_model import LENGTH, USERS, Store, definition, follow, histories, new_tables, tweet
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.events import AnyEvent, FanOutChanged, Tier
from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.backlog import RECENT_MS, Backlog, NumberedTable, Waiting
from pipelines.stream.fan_out import fan_out
from pipelines.stream.tiers import FanOutTiers, TokenBucket
from timelines.settings import TimelineSettings

NOW = 1_700_000_000_000
LONG_AGO = NOW - RECENT_MS - 1
PUSH_ALL = FanOutTiers(push_below=100, pull_above=100, throttled_per_second=10)


class Table(dict[int, bytes]):
    """A dictionary whose rows can be listed while they change."""

    def items(self) -> list[tuple[int, bytes]]:  # type: ignore[override]
        return list(super().items())


@dataclass
class Shard:
    """What the operator does with one shard, over the model of the store."""

    tables: AuthorTables = field(default_factory=new_tables)
    waiting: NumberedTable = field(default_factory=Table)  # type: ignore[assignment]
    store: Store = field(default_factory=Store)
    tiers: FanOutTiers = PUSH_ALL
    last_read: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, capacity: int = 1_000_000) -> None:
        """Only what is in the tables is still known."""
        self.authors = Authors(self.tables, capacity)
        self.backlog = Backlog(self.waiting)

    def run(self, events: list[AnyEvent], recheck: list[int] | None = None) -> None:
        result = fan_out(events, self.authors, self.tiers, LENGTH, recheck or ())
        self.store.write(result)
        for author in result.pulled:
            self.backlog.discard(author)
        for author, entries in result.returning.items():
            self.backlog.add(author, entries, NOW, returning=True)
        for author, entries in result.throttled.items():
            self.backlog.add(author, entries, NOW)

    def change(self, tiers: FanOutTiers) -> None:
        self.tiers = tiers
        self.run([], self.authors.due_to_cross(tiers))

    def override(self, author: int, tier: Tier | None) -> None:
        self.authors.get(author).override = tier
        self.run([], [author])

    def turn(self, most: int) -> int:
        turn = self.backlog.take(
            self.authors,
            most,
            lambda readers: np.array(
                [self.last_read.get(reader, NOW) for reader in readers.tolist()], dtype=np.int64
            ),
        )
        self.store.deliver(turn.pushed)
        self.store.deliver(turn.returning)
        self.store.pulled.difference_update(turn.returned)
        for author in turn.returned:
            self.authors.get(author).returning = False
        self.authors.save({}, (), turn.returned)
        return len(turn)

    def delivered(self, reader: int) -> list[int]:
        return sorted(self.store.homes.get(reader, {}))


thresholds = st.sampled_from([(1, 1), (2, 2), (9, 9), (9, 9), (1, 3)])
overrides = st.tuples(st.sampled_from(USERS), st.sampled_from([None, "push", "throttle", "pull"]))
steps = st.one_of(
    st.integers(1, 12).map(lambda size: ("events", size)),
    thresholds.map(lambda pair: ("change", pair)),
    overrides.map(lambda pair: ("override", pair)),
    st.integers(1, 4).map(lambda most: ("turn", most)),
    st.tuples(st.sampled_from(USERS), st.sampled_from([NOW, NOW + 5, LONG_AGO])).map(lambda r: ("read", r)),
    st.sampled_from([1, 1_000_000]).map(lambda capacity: ("restart", capacity)),
)


@settings(deadline=None, max_examples=200)
@given(histories(), st.data())
def test_feeds_are_the_definition_whenever_nothing_throttled_waits(
    events: list[AnyEvent], data: st.DataObject
) -> None:
    shard, seen = Shard(), list[AnyEvent]()
    arrivals = list(data.draw(st.permutations(events)))
    while arrivals:
        match data.draw(steps):
            case ("events", size):
                batch, arrivals = arrivals[:size], arrivals[size:]
                seen += batch
                shard.run(batch)
            case ("change", (push_below, pull_above)):
                shard.change(FanOutTiers(push_below, pull_above, 10))
            case ("override", (author, tier)):
                shard.override(author, tier)
            case ("turn", most):
                shard.turn(most)
            case ("read", (reader, moment)):
                shard.last_read[reader] = max(moment, shard.last_read.get(reader, 0))
            case ("restart", capacity):
                shard.restart(capacity)
        if not any(not item.returning for item in map(Waiting.decode, dict(shard.waiting.items()).values())):
            for reader in USERS:
                assert shard.store.feed(reader) == definition(seen, reader)
    while len(shard.backlog):
        shard.turn(1000)
    for reader in USERS:
        assert shard.store.feed(reader) == definition(events, reader)


def test_a_throttled_author_has_the_entry_at_once_and_the_followers_by_and_by() -> None:
    shard = Shard(tiers=FanOutTiers(push_below=2, pull_above=100, throttled_per_second=1))
    shard.run([follow(reader, 1, reader) for reader in range(2, 6)])
    shard.run([tweet(50, 1)])
    assert shard.delivered(1) == [50]
    assert [shard.delivered(reader) for reader in range(2, 6)] == [[], [], [], []]
    shard.turn(3)
    assert [shard.delivered(reader) for reader in range(2, 6)] == [[50], [50], [50], []]
    shard.turn(3)
    assert shard.delivered(5) == [50]


def test_who_read_lately_comes_first_and_who_has_no_timeline_gets_nothing() -> None:
    shard = Shard(tiers=FanOutTiers(push_below=1, pull_above=100, throttled_per_second=1))
    shard.last_read = {2: LONG_AGO, 3: NOW, 4: -1, 5: NOW}
    shard.run([follow(reader, 1, reader) for reader in range(2, 6)])
    shard.run([tweet(50, 1)])
    shard.turn(2)
    assert [shard.delivered(reader) for reader in range(2, 6)] == [[], [50], [], [50]]
    while len(shard.backlog):
        shard.turn(2)
    assert [shard.delivered(reader) for reader in range(2, 6)] == [[50], [50], [], [50]]


def test_who_comes_back_between_the_rounds_is_not_forgotten() -> None:
    shard = Shard(tiers=FanOutTiers(push_below=1, pull_above=100, throttled_per_second=1))
    shard.last_read = {2: LONG_AGO, 3: NOW, 4: NOW}
    shard.run([follow(reader, 1, reader) for reader in range(2, 5)])
    shard.run([tweet(50, 1)])
    shard.turn(1)
    shard.last_read[2] = NOW + 1
    while len(shard.backlog):
        shard.turn(1)
    assert [shard.delivered(reader) for reader in range(2, 5)] == [[50], [50], [50]]


def test_large_authors_take_turns() -> None:
    shard = Shard(tiers=FanOutTiers(push_below=1, pull_above=10_000, throttled_per_second=1))
    shard.run([follow(reader, 1, reader) for reader in range(10, 5000)])
    shard.run([follow(reader, 2, reader) for reader in range(10, 20)])
    shard.run([tweet(50, 1)])
    shard.run([tweet(51, 2)])
    shard.turn(2300)
    assert shard.delivered(19) == [50, 51]
    assert shard.delivered(4999) == []


def test_an_author_who_comes_back_is_pulled_until_every_follower_has_the_newest_entries() -> None:
    shard = Shard(tiers=FanOutTiers(push_below=2, pull_above=2, throttled_per_second=1))
    shard.run([follow(2, 1, 10), follow(3, 1, 11), tweet(50, 1), tweet(51, 1)])
    assert shard.store.pulled == {1}
    shard.change(PUSH_ALL)
    shard.turn(2)
    assert (shard.delivered(2), shard.delivered(3), shard.store.pulled) == ([50, 51], [], {1})
    shard.restart()
    shard.turn(2)
    assert (shard.delivered(3), shard.store.pulled) == ([50, 51], set())


def test_an_author_who_is_pulled_again_on_the_way_back_waits_no_more() -> None:
    shard = Shard(tiers=FanOutTiers(push_below=1, pull_above=1, throttled_per_second=1))
    shard.run([follow(2, 1, 10), tweet(50, 1)])
    shard.change(PUSH_ALL)
    shard.override(1, "pull")
    assert len(shard.backlog) == 0
    assert shard.store.pulled == {1}


def test_a_pulled_author_stays_so_until_well_below_the_threshold() -> None:
    tiers = FanOutTiers(push_below=10, pull_above=100, throttled_per_second=1)
    assert [tiers.tier(followers, None, pulled=True) for followers in (100, 90, 89, 9)] == [
        "pull",
        "pull",
        "throttle",
        "push",
    ]
    assert tiers.tier(99, None, pulled=False) == "throttle"


def test_an_older_change_of_the_thresholds_does_nothing() -> None:
    def change(event_id: str, ts: int, push_below: int) -> FanOutChanged:
        return FanOutChanged(
            event_id=event_id, ts=ts, push_below=push_below, pull_above=9, throttled_per_second=1
        )

    newer = PUSH_ALL.changed(change("b", 5, 7))
    assert newer.push_below == 7
    assert newer.changed(change("a", 5, 3)) is newer


def test_tokens_gather_for_a_second_at_most_and_a_debt_is_paid_first() -> None:
    bucket = TokenBucket()
    assert bucket.take(0, 100) == 0
    assert bucket.take(500, 100) == 50
    assert bucket.take(60_000, 100) == 100
    bucket.give_back(-30)
    assert bucket.take(60_500, 100) == 20


def test_thresholds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="pull_above \\(5\\) is below push_below \\(6\\)"):
        TimelineSettings(push_below=6, pull_above=5)
