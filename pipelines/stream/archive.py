"""Flink SQL job ``archive``: the event topics into the Parquet lake, one folder per event type.

Rows stay inside the JVM. Files become visible when the checkpoint that covers them completes.

Flink's JSON decoder drops what is not JSON without a word, and keeps no bytes. So topics that no other job
decodes (``UNDECODED``) are read a second time, in batches, to find the records that must become dead letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, ProcessFunction
from pyflink.table import StatementSet, StreamTableEnvironment

from ingestion.events import Event
from ingestion.lake import PARTITION_COLUMN, TOPIC_EVENTS, columns, event_folder, type_name
from pipelines.jobs import UNDECODED
from pipelines.settings import StreamSettings
from pipelines.stream import connectors, sql_tables
from pipelines.stream.decoding import decode_batch
from pipelines.stream.sql_tables import is_event, sql_type

JOB = "archive"
# A task keeps one row group per open partition in memory.
ROW_GROUP_BYTES = 8 * 1024 * 1024
# A reader of offsets of its own: it commits them beside the lake's.
LETTERS_GROUP = f"{JOB}-letters"
BATCH_MS = 1000


def build(t_env: StreamTableEnvironment, lake: Path, namespace: str) -> StatementSet:
    """One INSERT per event type, from the tables named after the topics into the lake.

    The tables must exist (``sql_tables.create_event_table``). Each topic is read once, whatever the
    number of its event types.
    """
    t_env.get_config().set("table.local-time-zone", "UTC")
    statements = t_env.create_statement_set()
    for topic, event_types in TOPIC_EVENTS.items():
        for event_type in event_types:
            _create_sink(t_env, event_type, event_folder(lake, namespace, event_type))
            statements.add_insert_sql(_insert(topic.name, event_type))
    return statements


def sink_table(event_type: type[Event]) -> str:
    """The name of the lake table of an event type."""
    return f"lake_{type_name(event_type)}"


def _create_sink(t_env: StreamTableEnvironment, event_type: type[Event], folder: Path) -> None:
    fields = ", ".join(f"`{column.name}` {sql_type(column)}" for column in columns(event_type))
    t_env.execute_sql(
        f"""
        CREATE TEMPORARY TABLE {sink_table(event_type)} ({fields}, `{PARTITION_COLUMN}` STRING)
        PARTITIONED BY (`{PARTITION_COLUMN}`)
        WITH (
            'connector' = 'filesystem',
            'path' = '{folder.absolute().as_uri()}',
            'format' = 'parquet',
            'parquet.compression' = 'SNAPPY',
            'parquet.block.size' = '{ROW_GROUP_BYTES}'
        )
        """
    )


def _insert(table: str, event_type: type[Event]) -> str:
    fields = ", ".join(f"`{column.name}`" for column in columns(event_type))
    return (
        f"INSERT INTO {sink_table(event_type)} "  # noqa: S608
        f"SELECT {fields}, DATE_FORMAT(event_time, 'yyyy-MM-dd') FROM `{table}` "
        f"WHERE {is_event(event_type)}"
    )


class FindMalformed(ProcessFunction):  # type: ignore[misc]
    """Record batches -> dead letters (JSON strings). No state."""

    def process_element(self, batch: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        yield from decode_batch(batch).letters


def letters(batches: DataStream) -> DataStream:
    """Record batches -> a dead letter (JSON string) for each record that is no event."""
    found = batches.process(FindMalformed(), output_type=Types.STRING())
    return found.uid("find-malformed").name("find malformed")


def main() -> None:
    settings = StreamSettings()
    env = connectors.environment(settings, JOB)
    connectors.require_topics(settings, tuple(TOPIC_EVENTS))
    t_env = StreamTableEnvironment.create(env)
    group = connectors.job_name(settings, JOB)
    for topic in TOPIC_EVENTS:
        names = connectors.names_of(settings, JOB, [topic])
        source = sql_tables.kafka_source(names, settings.kafka.bootstrap, group)
        sql_tables.create_event_table(t_env, topic, source)
    build(t_env, settings.lake.path, settings.namespace).attach_as_datastream()
    batches = connectors.event_batches(
        env, settings, LETTERS_GROUP, UNDECODED, shard_by=None, batch_ms=BATCH_MS
    )
    connectors.dead_letter_sink(letters(batches), settings)
    env.execute(group)
