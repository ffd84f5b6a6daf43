"""Flink job ``records``: accounts, follows, tweets, retweets and likes of the log into PostgreSQL.

The job keeps no state: a batch is committed before the checkpoint that covers it completes, and every row may
be written again, since an older version never replaces a newer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, ProcessFunction, RuntimeContext

from ingestion.events import AnyEvent
from ingestion.rows import rows_of, unfit_for_rows
from pipelines.jobs import JOB_TOPICS
from pipelines.settings import StreamSettings
from pipelines.stream import connectors
from pipelines.stream.decoding import DEAD_LETTERS, decode_batch
from pipelines.stream.fan_out import unfit
from records.connections import connect
from records.materialize import Materializer
from records.settings import RecordsSettings

JOB = "records"


@dataclass(frozen=True)
class RecordsAddress:
    """What an operator carries to the cluster to reach the tables."""

    records: RecordsSettings
    namespace: str


class RecordsWriter(ProcessFunction):  # type: ignore[misc]
    """Record batches -> the tables; emits only dead letters, to the side."""

    def __init__(self, address: RecordsAddress) -> None:
        self._address = address

    def open(self, runtime_context: RuntimeContext) -> None:
        address = self._address
        self._tables = Materializer(lambda: connect(address.records, address.namespace))
        self._events = runtime_context.get_metrics_group().counter("events")

    def close(self) -> None:
        self._tables.close()

    def process_element(self, batch: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        _, events, letters = decode_batch(batch, _unfit)
        self._tables.write(rows_of(events))
        self._events.inc(len(events))
        for letter in letters:
            yield DEAD_LETTERS, letter


def _unfit(event: AnyEvent) -> str | None:
    return unfit(event) or unfit_for_rows(event)


def build(batches: DataStream, address: RecordsAddress) -> DataStream:
    """Record batches of users, follows, tweets and engagements -> dead letters (JSON strings)."""
    written = batches.process(RecordsWriter(address), output_type=Types.STRING()).uid("write").name("write")
    return written.get_side_output(DEAD_LETTERS)


def main() -> None:
    settings = StreamSettings()
    env = connectors.environment(settings, JOB)
    batches = connectors.event_batches(env, settings, JOB, JOB_TOPICS[JOB])
    address = RecordsAddress(settings.records, settings.namespace)
    connectors.dead_letter_sink(build(batches, address), settings)
    env.execute(connectors.job_name(settings, JOB))
