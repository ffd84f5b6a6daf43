"""The operator of the ``safety`` job: signals of one account become marks, in the store and on the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row, RowKind, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from ingestion.events import MarkChanged, encode
from ingestion.stored import mark_of
from ingestion.topics import route
from pipelines.stream.safety_rules import SEVERITY, Limits, Signal, marks_of
from pipelines.stream.store import Store, StoreAddress
from timelines.marks import put_mark

RECORD = Types.ROW_NAMED(["record_key", "record_value"], [Types.STRING(), Types.STRING()])


class Marker(KeyedProcessFunction):  # type: ignore[misc]
    """Signals keyed by account -> marks as records of the topic ``marks``.

    A mark is given once, when its signal is first seen, and becomes worse but never better by itself: that a
    signal no longer holds lifts nothing, a person does. The moment of a mark is that of the judgement.
    """

    def __init__(self, address: StoreAddress, limits: Limits) -> None:
        self._address = address
        self._limits = limits

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        self._signals = runtime_context.get_map_state(
            MapStateDescriptor("signals_v1", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._given = runtime_context.get_map_state(
            MapStateDescriptor("given_v1", Types.STRING(), Types.STRING())
        )
        self._marks = runtime_context.get_metrics_group().counter("marks")

    def close(self) -> None:
        self._store.close()

    def process_element(self, row: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        signal = Signal(*row)
        name = f"{signal.rule}:{signal.tweet}"
        if row.get_row_kind() in (RowKind.UPDATE_BEFORE, RowKind.DELETE) or self._signals.contains(name):
            return
        self._signals.put(name, tuple(signal))
        now = ctx.timer_service().current_processing_time()
        found = marks_of((Signal(*known) for known in self._signals.values()), self._limits)
        events = []
        for (target, target_id), mark in found.items():
            place = f"{target}:{target_id}"
            before = self._given.get(place)
            if before is None or SEVERITY[mark.verdict] > SEVERITY[before]:
                self._given.put(place, mark.verdict)
                events.append(
                    MarkChanged(
                        event_id=f"mark:{place}:{mark.verdict}:{now}",
                        ts=now,
                        target=target,
                        target_id=target_id,
                        verdict=mark.verdict,
                        reason=mark.reason,
                    )
                )
        with self._store.pipeline() as pipe:
            for event in events:
                put_mark(pipe, self._store.keys, event.target, event.target_id, mark_of(event))
        self._marks.inc(len(events))
        for event in events:
            yield Row(route(event)[1].decode(), encode(event).decode())
