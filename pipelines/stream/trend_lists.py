"""The lists of the ``trends`` job on their way to the store: when each term entered, one write per pause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from pipelines.stream.store import Store, StoreAddress
from pipelines.stream.trend_queries import WINDOWS, TrendWindow
from timelines import commands
from timelines.bodies import Trend, TrendList

_WINDOWS = {window.name: window for window in WINDOWS}


class TrendItem(msgspec.Struct, frozen=True):
    """One line of ``items`` of ``trend_queries.lists``; ``expected`` is the count of the window before."""

    term: str
    rank: int
    count: int
    authors: int
    expected: int
    score: float


_items = msgspec.json.Decoder(TrendItem)
_list = msgspec.json.Decoder(TrendList)


def next_list(
    before: TrendList | None, window: TrendWindow, as_of: int, items: Sequence[TrendItem]
) -> TrendList:
    """The list of the window that ends at ``as_of`` (ms UTC), by rank.

    A term that stood in the list one slide earlier keeps its ``since``; a new one gets its window's start.
    """
    follows = before is not None and before.as_of == as_of - window.slide_minutes * 60_000
    kept = {trend.term: trend.since for trend in before.items} if before is not None and follows else {}
    start = as_of - window.hours * 3_600_000
    return TrendList(
        as_of,
        tuple(
            Trend(i.term, i.rank, i.count, i.authors, i.score, kept.get(i.term, start))
            for i in sorted(items, key=lambda item: item.rank)
        ),
    )


class TrendWriter(KeyedProcessFunction):  # type: ignore[misc]
    """Lists keyed by place and window -> the store; emits nothing.

    The newest list is checkpointed state; of those that close within ``flush_ms`` only the last is written.
    """

    def __init__(self, address: StoreAddress, flush_ms: int) -> None:
        self._address = address
        self._flush_ms = flush_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        self._newest = runtime_context.get_state(ValueStateDescriptor("newest_list_v1", Types.STRING()))
        self._waiting: set[tuple[str, str]] = set()

    def close(self) -> None:
        self._store.close()

    def process_element(self, row: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        place, name, seconds, items = row[0], row[1], row[2], row[3]
        newest = next_list(self._read(), _WINDOWS[name], seconds * 1000, _items.decode_lines(items))
        self._newest.update(msgspec.json.encode(newest).decode())
        if (place, name) not in self._waiting:
            self._waiting.add((place, name))
            timers = ctx.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + self._flush_ms)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        window, place = ctx.get_current_key().split(" ", 1)
        self._waiting.discard((place, window))
        newest = self._read()
        if newest is not None:
            with self._store.pipeline() as pipe:
                commands.put_trends(pipe, self._store.keys, place, window, newest)
        return iter(())

    def _read(self) -> TrendList | None:
        stored = self._newest.value()
        return None if stored is None else _list.decode(stored)
