"""The keyed operator that writes home timelines: deliveries of one store shard, sent together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor

from pipelines.stream.deliveries import decode, join
from pipelines.stream.store import Store, StoreAddress
from timelines import commands

FLUSH_BYTES = 1 << 20
END_OF_INPUT = (1 << 63) - 2
ACTIVATED_KEPT = 5_000_000


class Delivery(KeyedProcessFunction):  # type: ignore[misc]
    """Packed deliveries keyed by store shard -> the store; emits nothing.

    What has not been written yet is in checkpointed state. A failed write fails the task, which repeats it.
    """

    def __init__(self, address: StoreAddress, flush_ms: int) -> None:
        self._address = address
        self._flush_ms = flush_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        self._pending = runtime_context.get_list_state(
            ListStateDescriptor("pending_deliveries_v1", Types.PICKLED_BYTE_ARRAY())
        )
        self._waiting: dict[int, int] = {}
        self._activated: set[int] = set()
        # The first flush of a shard may repeat what failed half-way before.
        self._flushed: set[int] = set()
        metrics = runtime_context.get_metrics_group()
        self._deliveries = metrics.counter("deliveries")
        self._flushes = metrics.counter("flushes")

    def close(self) -> None:
        self._store.close()

    def process_element(self, part: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        shard, payload = part[0], part[1]
        self._pending.add(payload)
        waiting = self._waiting.get(shard)
        if waiting is None:
            timers = ctx.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + self._flush_ms)
            timers.register_event_time_timer(END_OF_INPUT)
            waiting = 0
        self._waiting[shard] = waiting + len(payload)
        if self._waiting[shard] >= FLUSH_BYTES:
            self._flush(shard)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        self._flush(ctx.get_current_key())
        return iter(())

    def _flush(self, shard: int) -> None:
        self._waiting.pop(shard, None)
        payloads = list(self._pending.get())
        if not payloads:
            return
        pairs = join([decode(payload) for payload in payloads])
        met = set(pairs.activate.tolist())
        met.update(np.unique(pairs.readers).tolist())
        met -= self._activated
        if met:
            with self._store.pipeline() as pipe:
                commands.activate(pipe, self._store.keys, self._store.settings, met)
        again = shard not in self._flushed
        self._store.deliver(pairs.readers, pairs.entries[pairs.which], again=again)
        self._pending.clear()
        self._flushed.add(shard)
        self._activated |= met
        if len(self._activated) > ACTIVATED_KEPT:
            self._activated.clear()
        self._deliveries.inc(len(pairs))
        self._flushes.inc()
