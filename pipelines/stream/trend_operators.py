"""The operators of the ``trends`` job: tweets into records of occurrences, and those into lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, ProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from ingestion.topics import MARKS
from pipelines.stream.store import Store, StoreAddress
from pipelines.trends import table
from pipelines.trends.engine import Page, TrendEngine
from pipelines.trends.occurrences import Reader, marks_of
from pipelines.trends.plan import TrendPlan
from pipelines.trends.stop_words import stop_words
from pipelines.trends.terms import TermReader
from timelines import commands
from timelines.bodies import Trend, TrendList

RECORD = Types.ROW_NAMED(["group", "record"], [Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
TICK_MS = 1000
JOURNAL_BYTES = 4 << 20
END_OF_INPUT = (1 << 63) - 2


class ReadOccurrences(ProcessFunction):  # type: ignore[misc]
    """Batches of one partition of tweets or marks each -> one record of ``occurrences`` each. No state."""

    def __init__(self, plan: TrendPlan, words: bool) -> None:
        self._plan = plan
        self._words = words

    def open(self, runtime_context: RuntimeContext) -> None:
        terms = TermReader(stop_words(), self._words)
        self._reader = Reader(terms, self._plan.pane_ms, self._plan.languages)
        self._encoder = msgspec.msgpack.Encoder()
        self._events = runtime_context.get_metrics_group().counter("events")

    def process_element(self, batch: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        partition, topic, values = batch[0], batch[1], batch[2]
        self._events.inc(len(values))
        of_marks = topic.endswith(MARKS.name)
        record = marks_of(values) if of_marks else self._reader.read(partition, values)
        yield Row(0, self._encoder.encode(record))


class ListTrends(KeyedProcessFunction):  # type: ignore[misc]
    """Records of occurrences, under one key -> lists in the store and rows in files; emits nothing.

    The state is the engine's, packed now and then, and the records since. After a restart panes may be
    closed again, and give the same files and lists.
    """

    def __init__(
        self, address: StoreAddress, folder: Path, plan: TrendPlan, partitions: int, flush_ms: int
    ) -> None:
        self._address = address
        self._folder = folder
        self._plan = plan
        self._partitions = partitions
        self._flush_ms = flush_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        packed = Types.PICKLED_BYTE_ARRAY()
        self._packed = runtime_context.get_state(ValueStateDescriptor("trends_v1", packed))
        self._journal = runtime_context.get_list_state(ListStateDescriptor("trend_records_v1", packed))
        self._engine: TrendEngine | None = None
        self._journal_bytes = self._packed_bytes = 0
        self._flush_at: int | None = None
        metrics = runtime_context.get_metrics_group()
        self._rows = metrics.counter("trend_rows")

    def close(self) -> None:
        self._store.close()

    def process_element(self, part: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        timers = ctx.timer_service()
        now = timers.current_processing_time()
        engine = self._engine or self._restored(now)
        if self._journal_bytes == 0:
            timers.register_processing_time_timer(now - now % TICK_MS + TICK_MS)
            timers.register_event_time_timer(END_OF_INPUT)
        record = bytes(part[1])
        self._journal.add(record)
        self._journal_bytes += len(record)
        engine.take(record, now)
        if self._close_panes(engine, now) and self._flush_at is None:
            self._flush_at = now + self._flush_ms
            timers.register_processing_time_timer(self._flush_at)
        if self._journal_bytes > max(JOURNAL_BYTES, self._packed_bytes):
            self._pack(engine)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        timers = ctx.timer_service()
        now = timers.current_processing_time()
        engine = self._engine or self._restored(now)
        if self._close_panes(engine, now) or (self._flush_at is not None and now >= self._flush_at):
            self._flush_at = None
            self._show(engine.pages())
        if timestamp % TICK_MS == 0:
            timers.register_processing_time_timer(now - now % TICK_MS + TICK_MS)
        return iter(())

    def _restored(self, now_ms: int) -> TrendEngine:
        engine = TrendEngine(self._plan, self._partitions)
        engine.begin(now_ms)
        packed = self._packed.value()
        if packed is not None:
            engine.unpack(packed)
            self._packed_bytes = len(packed)
        for record in self._journal.get():
            engine.take(record, now_ms)
            self._journal_bytes += len(record)
        self._engine = engine
        return engine

    def _close_panes(self, engine: TrendEngine, now_ms: int) -> bool:
        """Whether pages may have changed."""
        rows = engine.close_panes(now_ms)
        if rows:
            table.write(self._folder, rows)
            self._rows.inc(len(rows))
        return engine.changed

    def _pack(self, engine: TrendEngine) -> None:
        packed = engine.pack()
        self._packed.update(packed)
        self._journal.clear()
        self._journal_bytes, self._packed_bytes = 0, len(packed)

    def _show(self, pages: list[Page]) -> None:
        with self._store.pipeline() as pipe:
            for page in pages:
                trends = TrendList(
                    page.as_of,
                    tuple(
                        Trend(item.term, rank, item.count, item.authors, round(item.score, 3), item.since)
                        for rank, item in enumerate(page.items, 1)
                    ),
                )
                commands.put_trends(pipe, self._store.keys, page.place, page.window, trends)
