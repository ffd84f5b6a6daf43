"""The ``timelines`` job without its engine: what its operators keep and write, over a timeline store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fan_out_model import new_tables
from store_under_test import StoreUnderTest

from ingestion.events import AnyEvent, AuthorTierChanged, FanOutChanged, decode
from pipelines.stream import content
from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.backlog import Backlog
from pipelines.stream.deliveries import Deliveries
from pipelines.stream.fan_out import FanOut, fan_out, without_followers
from pipelines.stream.spreading import (
    SpreadAuthors,
    ToShare,
    decode_message,
    encode_message,
    pulled_in,
    take_over,
)
from pipelines.stream.tiers import FanOutTiers
from timelines import commands
from timelines.delivery import deliver
from timelines.entry import Ids

NOW_MS = 1_000_000_000_000
SHARES = 2
PUSH_ALL = FanOutTiers(push_below=9, pull_above=9, throttled_per_second=1)


class Table(dict[int, bytes]):
    """A dictionary whose rows can be listed while they change."""

    def items(self) -> list[tuple[int, bytes]]:  # type: ignore[override]
        return list(super().items())


@dataclass
class ShardState:
    """What one key of an operator has in its state."""

    tables: AuthorTables = field(default_factory=new_tables)
    backlog: Table = field(default_factory=Table)
    spread: Table = field(default_factory=Table)
    tiers: FanOutTiers = PUSH_ALL


@dataclass
class JobState:
    """What a checkpoint holds: the authors' shard and the shares, how far each key of the log was read, what
    is under way to the shares, what waits for delivery."""

    authors: ShardState = field(default_factory=ShardState)
    shares: list[ShardState] = field(default_factory=lambda: [ShardState() for _ in range(SHARES)])
    places: dict[tuple[str, bytes], int] = field(default_factory=dict)
    to_shares: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(SHARES)])
    waiting: list[Deliveries] = field(default_factory=list)


class Some:
    """A pipeline that keeps its commands: the first of them may be all that reached the store."""

    def __init__(self, most: int | None) -> None:
        self._most, self._commands = most, list[tuple[str, Any, Any]]()

    def __getattr__(self, command: str) -> Callable[..., None]:
        return lambda *args, **options: self._commands.append((command, args, options))

    def put(self, pipe: Any, _keys: Any) -> None:
        for command, args, options in self._commands[: self._most]:
            getattr(pipe, command)(*args, **options)


class Shard:
    """One key of an operator; the shares see a part of an author's followers each."""

    def __init__(self, state: ShardState, share: int | None = None) -> None:
        self.state = state
        self.share = share
        self.authors = Authors(state.tables, capacity=8)
        self.backlog = Backlog(state.backlog)

    @property
    def tiers(self) -> FanOutTiers:
        return self.state.tiers if self.share is None else self.state.tiers.of_a_share(SHARES)

    def mark(self, pipe: Any, keys: Any, authors: list[int]) -> None:
        if self.share is None:
            commands.mark_pulled(pipe, keys, authors)
        else:
            commands.mark_pulled_shares(pipe, keys, authors, [self.share])

    def unmark(self, pipe: Any, keys: Any, authors: list[int]) -> None:
        if self.share is None:
            commands.unmark_pulled(pipe, keys, authors)
        else:
            commands.unmark_pulled_share(pipe, keys, authors, self.share, SHARES)

    def set_tiers(self, tiers: FanOutTiers) -> list[int]:
        self.state.tiers = tiers
        return self.authors.due_to_cross(self.tiers)

    def recheck(self, events: Iterable[AnyEvent]) -> list[int]:
        """The authors whose tier these events may change without a follow or a tweet."""
        found: list[int] = []
        for event in events:
            match event:
                case FanOutChanged():
                    found += self.set_tiers(self.state.tiers.changed(event))
                case AuthorTierChanged():
                    self.authors.get(event.author_id).override = event.tier
                    found.append(event.author_id)
        return found

    def queue(self, result: FanOut) -> None:
        for author in result.pulled:
            self.backlog.discard(author)
        for author, entries in result.returning.items():
            self.backlog.add(author, entries, NOW_MS, returning=True)
        for author, entries in result.throttled.items():
            self.backlog.add(author, entries, NOW_MS)


class FanOutJob:
    """The operators over a state and a store; it begins as after a restart."""

    def __init__(self, state: JobState, store: StoreUnderTest, spread_above: int) -> None:
        self.state, self.store, self.spread_above = state, store, spread_above
        self.head = Shard(state.authors)
        self.shares = [Shard(share, number) for number, share in enumerate(state.shares)]
        self.spread = SpreadAuthors(state.authors.spread, SHARES)
        for shard in self.shards:
            store.write(shard.mark, shard.authors.pulled())
        self.activated: set[int] = set()
        self.flushed = False

    @property
    def shards(self) -> list[Shard]:
        return [self.head, *self.shares]

    def take(self, events: list[AnyEvent], only: int | None = None) -> None:
        """What the operators keyed by author and ``content`` do with a batch; the store may get only the
        first commands of it."""
        head, pipe, keys = self.head, Some(only), self.store.keys
        here, elsewhere = self.spread.divide(events)
        length = self.store.settings.length
        result = fan_out(here, head.authors, head.tiers, length, head.recheck(here))
        head.queue(result)
        for part in (result, without_followers(elsewhere)):
            for follower, changes in part.edges.items():
                for followee, change in changes.items():
                    commands.set_followee(pipe, keys, follower, followee, *change)
            for tie in part.ties:
                commands.settle_tie(pipe, keys, *tie)
            commands.append_outbox(pipe, keys, self.store.settings, part.entries)
            head.mark(pipe, keys, part.pulled)
            self.state.waiting.append(part.deliveries)
        messages = self.spread.messages(
            here, elsewhere, head.authors, head.backlog, head.tiers, self.spread_above
        )
        commands.mark_pulled_shares(pipe, keys, pulled_in(messages), range(SHARES))
        content.write(pipe, keys, events)
        self.store.write(pipe.put)
        for number, message in enumerate(messages):
            if message != ToShare():
                self.state.to_shares[number].append(encode_message(message))

    def tell_a_share(self, number: int, only: int | None = None) -> None:
        """What the operator keyed by follower does with the next message, where there is one."""
        if not self.state.to_shares[number]:
            return
        share, pipe = self.shares[number], Some(only)
        message = decode_message(self.state.to_shares[number].pop(0))
        events = [decode(event) for event in message.events]
        length = self.store.settings.length
        recheck = take_over(message.handovers, share.authors, share.backlog, length, NOW_MS)
        recheck += share.recheck(events)
        if message.tiers and message.tiers.since > share.state.tiers.since:
            recheck += share.set_tiers(message.tiers)
        result = fan_out(events, share.authors, share.tiers, length, recheck, to_authors=False)
        for tie in result.ties:
            commands.settle_tie(pipe, self.store.keys, *tie)
        share.mark(pipe, self.store.keys, result.pulled)
        self.store.write(pipe.put)
        share.queue(result)
        self.state.waiting.append(result.deliveries)

    def turn(self, shard: Shard, most: int) -> None:
        """A turn of the backlog."""
        turn = shard.backlog.take(shard.authors, most, self._last_read)
        self.state.waiting.append(turn.pushed)
        self._activate(turn.returning)
        self._deliver(turn.returning, again=True)
        self.store.write(shard.unmark, turn.returned)
        for author in turn.returned:
            shard.authors.get(author).returning = False
        shard.authors.save({}, (), turn.returned)

    def deliver_what_waits(self) -> None:
        parts, self.state.waiting = self.state.waiting, []
        for part in parts:
            self._activate(part)
            # The first flush may repeat what failed half-way before.
            self._deliver(part, again=not self.flushed)
            self.flushed = True

    def finish(self) -> None:
        """All that is under way or waits."""
        for number in range(SHARES):
            while self.state.to_shares[number]:
                self.tell_a_share(number)
        for shard in self.shards:
            while shard.backlog:
                self.turn(shard, 1000)
        self.deliver_what_waits()

    def _activate(self, part: Deliveries) -> None:
        met = {*part.activate.tolist(), *part.readers.tolist()} - self.activated
        self.store.activate(*met)
        self.activated |= met

    def _deliver(self, part: Deliveries, *, again: bool) -> None:
        entries, store = part.entries[part.which], self.store
        deliver(store.client, store.keys, store.settings, part.readers, entries, again=again)

    def _last_read(self, readers: Ids) -> Ids:
        """Just now, or not any more for those whose timeline expired; all were met."""
        self.store.activate(*readers.tolist())
        client, keys = self.store.client, self.store.keys
        there = [client.get(keys.home(reader)) is not None for reader in readers.tolist()]
        return np.where(there, NOW_MS, -1)
