"""The keyed operator of fan-out: authors in Flink state, edges, outboxes and pulled marks into the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapState, MapStateDescriptor

from pipelines.stream.authors import Authors, AuthorTables
from pipelines.stream.decoding import DEAD_LETTERS, decode_batch
from pipelines.stream.fan_out import FanOut, fan_out, unfit
from pipelines.stream.store import Store, StoreAddress
from timelines import commands

PAIRS_PER_RECORD = 50_000
# Edges and entries that an operator keeps in memory beside their state, at some 300 bytes each.
KEPT_IN_MEMORY = 1_500_000
PAYLOAD = Types.ROW_NAMED(["shard", "payload"], [Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
# Primitive byte arrays in state would be converted byte by byte in Python; pickled ones are copied.
_BYTES = Types.PICKLED_BYTE_ARRAY()


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


class FanOutOperator(KeyedProcessFunction):  # type: ignore[misc]
    """Record batches keyed by author shard -> packed deliveries keyed by store shard; dead letters aside."""

    def __init__(self, address: StoreAddress, shards: int) -> None:
        self._address = address
        self._author_shards = shards
        self._store_shards = min(shards, address.redis.partitions)

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        self._tables = AuthorTables(
            heads=_table(runtime_context, "author_heads_v1", Types.LONG()),
            recents=_table(runtime_context, "author_recents_v1", Types.LONG()),
            edges=_table(runtime_context, "author_edges_v1", Types.STRING()),
        )
        self._authors: dict[int, Authors] = {}
        metrics = runtime_context.get_metrics_group()
        self._events = metrics.counter("events")
        self._rejected = metrics.counter("dead_letters")

    def close(self) -> None:
        self._store.close()

    def process_element(self, batch: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        shard, events, letters = decode_batch(batch, unfit)
        for letter in letters:
            yield DEAD_LETTERS, letter
        authors = self._authors.get(shard)
        if authors is None:
            authors = self._authors[shard] = Authors(self._tables, KEPT_IN_MEMORY // self._author_shards)
        settings = self._address.timelines
        result = fan_out(events, authors, settings.push_below, settings.length)
        self._write(result)
        partitions = self._address.redis.partitions
        for target, part in result.deliveries.by_shard(partitions, self._store_shards, PAIRS_PER_RECORD):
            yield Row(target, part.encode())
        self._events.inc(len(events))
        self._rejected.inc(len(letters))

    def _write(self, result: FanOut) -> None:
        keys = self._store.keys
        with self._store.pipeline() as pipe:
            for follower, changes in result.edges.items():
                scores = {str(followee): commands.edge_score(*change) for followee, change in changes.items()}
                pipe.zadd(keys.followees(follower), scores, gt=True)
            commands.append_outbox(pipe, keys, self._store.settings, result.entries)
            commands.mark_pulled(pipe, keys, result.pulled)


def _table(context: RuntimeContext, name: str, key_type: Any) -> _StateTable:
    return _StateTable(context.get_map_state(MapStateDescriptor(name, key_type, _BYTES)))
