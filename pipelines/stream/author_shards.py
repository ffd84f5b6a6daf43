"""What the operators of fan-out have in common: authors of a shard in Flink state, backlog, deliveries.

What followers of large authors get slowly waits in the backlog; a timer drains it as a token bucket allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor, ValueState, ValueStateDescriptor

from ingestion.events import AnyEvent, AuthorTierChanged, FanOutChanged
from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.backlog import Backlog
from pipelines.stream.deliveries import Deliveries
from pipelines.stream.delivery import END_OF_INPUT
from pipelines.stream.fan_out import FanOut
from pipelines.stream.spreading import SpreadAuthors
from pipelines.stream.store import Store, StoreAddress
from pipelines.stream.tiers import FanOutTiers, TokenBucket
from timelines import commands
from timelines.entry import Ids

PAIRS_PER_RECORD = 50_000
TURN_MS = 50
WITHOUT_LIMIT = 1 << 62
# Edges and entries that an operator keeps in memory beside their state, at some 300 bytes each.
KEPT_IN_MEMORY = 1_500_000
PAYLOAD = Types.ROW_NAMED(["shard", "payload"], [Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
# Primitive byte arrays in state would be converted byte by byte in Python; pickled ones are copied.
_BYTES = Types.PICKLED_BYTE_ARRAY()
_tiers = msgspec.json.Decoder(FanOutTiers)


class _StateTable:
    """A map state with the face of a dictionary; bound to the key that is being processed."""

    def __init__(self, state: MapState) -> None:
        self._state = state

    def get(self, key: int | str, /) -> Any:
        return self._state.get(key)

    def __setitem__(self, key: int | str, value: bytes, /) -> None:
        self._state.put(key, value)

    def __delitem__(self, key: int | str, /) -> None:
        self._state.remove(key)

    def items(self) -> Iterator[tuple[Any, bytes]]:
        return iter(self._state.items())


def _table(context: RuntimeContext, name: str, key_type: Any) -> _StateTable:
    return _StateTable(context.get_map_state(MapStateDescriptor(name, key_type, _BYTES)))


@dataclass
class Shard:
    """What an operator keeps of one key; ``timer`` says that the backlog's next turn is set."""

    number: int
    authors: Authors
    backlog: Backlog
    spread: SpreadAuthors
    tiers: FanOutTiers
    timer: bool = False

    def queue(self, result: FanOut, now_ms: int) -> None:
        for author_id in result.pulled:
            self.backlog.discard(author_id)
        for author_id, entries in result.returning.items():
            self.backlog.add(author_id, entries, now_ms, returning=True)
        for author_id, entries in result.throttled.items():
            self.backlog.add(author_id, entries, now_ms)


class AuthorShards(KeyedProcessFunction):  # type: ignore[misc]
    """The authors of each shard; subclasses feed them and emit packed deliveries keyed by store shard."""

    def __init__(self, address: StoreAddress, shards: int) -> None:
        self._address = address
        self.shard_count = shards
        self._store_shards = min(shards, address.redis.partitions)

    def open(self, runtime_context: RuntimeContext) -> None:
        self.store = Store(self._address)
        self._tables = AuthorTables(
            heads=_table(runtime_context, "author_heads_v2", Types.LONG()),
            recents=_table(runtime_context, "author_recents_v1", Types.LONG()),
            edges=_table(runtime_context, "author_edges_v1", Types.STRING()),
        )
        self._backlog_table = _table(runtime_context, "backlog_v1", Types.LONG())
        self._spread_table = _table(runtime_context, "spread_authors_v1", Types.LONG())
        self._tiers_state: ValueState = runtime_context.get_state(
            ValueStateDescriptor("tiers_v1", Types.PICKLED_BYTE_ARRAY())
        )
        self._shards: dict[int, Shard] = {}
        self._bucket = TokenBucket()
        metrics = runtime_context.get_metrics_group()
        # No gauge: Flink asks a gauge's Python function for values from a thread of its own, and while the
        # operator is being closed that ends the whole process by a segmentation fault.
        self._waiting = metrics.distribution("waiting")
        self.events = metrics.counter("events")

    def close(self) -> None:
        self.store.close()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        shard = self.shard(ctx.get_current_key())
        timers = ctx.timer_service()
        now = timers.current_processing_time()
        ending = timestamp == END_OF_INPUT
        tokens = WITHOUT_LIMIT if ending else self._bucket.take(now, shard.tiers.throttled_per_second)
        turn = shard.backlog.take(shard.authors, tokens, lambda readers: self._last_read(readers, now))
        if not ending:
            self._bucket.give_back(tokens - len(turn))
        yield from self.parts(turn.pushed)
        self._bring_back(shard, turn.returning, turn.returned)
        shard.timer = bool(shard.backlog)
        if shard.timer:
            timers.register_processing_time_timer(now + TURN_MS)
        self._tell_waiting()

    def shard(self, number: int) -> Shard:
        shard = self._shards.get(number)
        if shard is None:
            stored = self._tiers_state.value()
            tiers = FanOutTiers.of(self._address.timelines) if stored is None else _tiers.decode(stored)
            authors = Authors(self._tables, KEPT_IN_MEMORY // self.shard_count)
            spread = SpreadAuthors(self._spread_table, self.shard_count)
            shard = Shard(number, authors, Backlog(self._backlog_table), spread, tiers)
            self._shards[number] = shard
            # After a restart the store may be ahead of the state: an author that came back, and in the
            # repeated run never leaves, is pulled here and has no mark there.
            with self.store.pipeline() as pipe:
                self.mark(pipe, shard, authors.pulled())
        return shard

    def tiers(self, shard: Shard) -> FanOutTiers:
        """The thresholds that hold for what this operator knows of an author's followers."""
        return shard.tiers

    def mark(self, pipe: Any, shard: Shard, authors: list[int]) -> None:
        """Have authors merged at read for the followers known here."""
        commands.mark_pulled(pipe, self.store.keys, authors)

    def unmark(self, pipe: Any, shard: Shard, authors: list[int]) -> None:
        commands.unmark_pulled(pipe, self.store.keys, authors)

    def set_timer(self, shard: Shard, timers: Any) -> None:
        if shard.backlog and not shard.timer:
            timers.register_processing_time_timer(timers.current_processing_time() + TURN_MS)
            timers.register_event_time_timer(END_OF_INPUT)
            shard.timer = True
        self._tell_waiting()

    def change_settings(self, shard: Shard, events: Iterable[AnyEvent]) -> list[int]:
        """The authors whose tier has to be looked at again."""
        recheck: list[int] = []
        for event in events:
            match event:
                case FanOutChanged():
                    recheck += self.set_tiers(shard, shard.tiers.changed(event))
                case AuthorTierChanged() if self.knows(shard, event.author_id):
                    shard.authors.get(event.author_id).override = event.tier
                    recheck.append(event.author_id)
        return recheck

    def set_tiers(self, shard: Shard, tiers: FanOutTiers) -> list[int]:
        """The authors whom these thresholds move into or out of being pulled."""
        shard.tiers = tiers
        self._tiers_state.update(msgspec.json.encode(tiers))
        return shard.authors.due_to_cross(self.tiers(shard))

    def knows(self, shard: Shard, author_id: int) -> bool:
        """Whether the tier of an author is decided in this shard."""
        return True

    def _bring_back(self, shard: Shard, missed: Deliveries, returned: list[int]) -> None:
        """Write what followers of returning authors were not given; only then take the pulled marks."""
        if len(missed):
            with self.store.pipeline() as pipe:
                commands.activate(
                    pipe, self.store.keys, self.store.settings, np.unique(missed.readers).tolist()
                )
            self.store.deliver(missed.readers, missed.entries[missed.which], again=True)
        if returned:
            with self.store.pipeline() as pipe:
                self.unmark(pipe, shard, returned)
            for author_id in returned:
                shard.authors.get(author_id).returning = False
            shard.authors.save({}, (), returned)

    def _tell_waiting(self) -> None:
        self._waiting.update(sum(len(shard.backlog) for shard in self._shards.values()))

    def _last_read(self, readers: Ids, now_ms: int) -> npt.NDArray[np.int64]:
        """By when their timelines will expire: only reading puts that off.

        The delivery operator may not have met them yet; a timeline made later would lack what is skipped now.
        """
        keys, settings = self.store.keys, self.store.settings
        if not len(readers):
            return np.empty(0, dtype=np.int64)
        with self.store.pipeline() as pipe:
            activated = commands.activate(pipe, keys, settings, readers.tolist())
            for key in keys.keys("home", readers.tolist()):
                pipe.pttl(key)
            left = np.array(pipe.execute()[activated:], dtype=np.int64)
        return np.where(left < 0, -1, now_ms - commands.expiry_ms(settings) + left)

    def parts(self, deliveries: Deliveries) -> Iterator[Row]:
        partitions = self._address.redis.partitions
        for target, part in deliveries.by_shard(partitions, self._store_shards, PAIRS_PER_RECORD):
            yield Row(target, part.encode())
