"""Flink job ``trends``: trending terms per place and window, for serving (Redis) and analysts (Parquet).

Counting, scoring and ranking are Flink SQL and stay in the JVM; Python sees one row per list.
"""

from __future__ import annotations

from pathlib import Path

from pyflink.common import Types
from pyflink.datastream import DataStream
from pyflink.table import StreamTableEnvironment

from ingestion.topics import TWEETS
from pipelines.settings import FlinkSettings, StreamSettings
from pipelines.stream import connectors, sql_tables, trend_queries
from pipelines.stream.store import StoreAddress
from pipelines.stream.trend_lists import TrendWriter
from pipelines.stream.trend_queries import WINDOWS

JOB = "trends"
LATE_SECONDS = 30
IDLE_SECONDS = 10
FLUSH_MS = 200


def build(t_env: StreamTableEnvironment, words: bool = True) -> DataStream:
    """The tweets table (``sql_tables.create_event_table``, with a watermark) -> rows of one list each.

    Columns: place STRING, window STRING, as_of BIGINT (seconds UTC), items STRING (JSON objects, one a line).
    """
    config = t_env.get_config()
    config.set("table.local-time-zone", "UTC")
    config.set("table.exec.source.idle-timeout", f"{IDLE_SECONDS} s")
    _view(t_env, "occurrences", trend_queries.occurrences(words))
    selects = []
    for window in WINDOWS:
        counts, scored = f"counts_{window.name}", f"scored_{window.name}"
        _view(t_env, counts, trend_queries.counts(window, "occurrences"))
        _view(t_env, scored, trend_queries.scored(window, counts))
        selects.append(trend_queries.lists(window, scored))
    return t_env.to_data_stream(t_env.sql_query(" UNION ALL ".join(selects)))


def write_lists(lists: DataStream, address: StoreAddress, flink: FlinkSettings) -> DataStream:
    """Lists to the store; the stream that comes back is empty."""
    return (
        lists.key_by(lambda row: f"{row[1]} {row[0]}", key_type=Types.STRING())
        .process(TrendWriter(address, max(FLUSH_MS, flink.flush_ms)), output_type=Types.STRING())
        .uid("trend-lists")
        .name("write lists")
    )


def write_files(t_env: StreamTableEnvironment, lists: DataStream, folder: Path) -> None:
    """Attaches the sink of one row per list and term: ``folder``/day=YYYY-MM-DD/, day of the window's end."""
    t_env.create_temporary_view("lists", lists)
    t_env.execute_sql(
        f"""
        CREATE TEMPORARY TABLE trend_files (
            place STRING, `window` STRING, as_of TIMESTAMP_LTZ(3), term STRING, `rank` BIGINT,
            `count` BIGINT, authors BIGINT, expected BIGINT, score DOUBLE, `day` STRING
        ) PARTITIONED BY (`day`) WITH (
            'connector' = 'filesystem', 'path' = '{folder.absolute().as_uri()}', 'format' = 'parquet'
        )"""
    )
    statements = t_env.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO trend_files {trend_queries.rows('lists')}")
    statements.attach_as_datastream()


def trends_folder(lake: Path, namespace: str) -> Path:
    """Where analysts find the trends: beside the lake, a folder per namespace."""
    return lake.parent / "trends" / namespace


def main() -> None:
    settings = StreamSettings()
    # Every word that anyone uses is a key: more than a heap holds.
    words = settings.flink.trend_words
    env = connectors.environment(settings, JOB, state="rocksdb" if words else "hashmap")
    connectors.require_topics(settings, (TWEETS,))
    t_env = StreamTableEnvironment.create(env)
    group = connectors.job_name(settings, JOB)
    source = sql_tables.kafka_source(TWEETS, settings.namespace, settings.kafka.bootstrap, group)
    sql_tables.create_event_table(t_env, TWEETS, source, late_seconds=LATE_SECONDS)
    lists = build(t_env, words)
    write_files(t_env, lists, trends_folder(settings.lake.path, settings.namespace))
    # A stream without a sink would not run.
    write_lists(lists, StoreAddress.of(settings), settings.flink).print()
    env.execute(group)


def _view(t_env: StreamTableEnvironment, name: str, query: str) -> None:
    t_env.create_temporary_view(name, t_env.sql_query(query))
