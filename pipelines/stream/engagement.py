"""Flink job ``engagement``: counts per tweet and account, and the engagement of the last hour as features.

Deduplication and counting are Flink SQL and stay in the JVM, in small batches, so that Python sees a hot
tweet once per batch and not once per event.
"""

from __future__ import annotations

from pyflink.common import Types
from pyflink.datastream import DataStream
from pyflink.table import Schema, StreamTableEnvironment
from pyflink.table.changelog_mode import ChangelogMode

from pipelines.jobs import JOB_TOPICS
from pipelines.settings import FlinkSettings, StreamSettings
from pipelines.stream import connectors, engagement_queries, sql_tables
from pipelines.stream.engagement_counts import EngagementWriter
from pipelines.stream.store import StoreAddress

JOB = "engagement"
INPUTS = JOB_TOPICS[JOB]
# The largest part of the delay between a like and its count; also how often a hot tweet reaches Python.
BATCH_MS = 500
BATCH_ROWS = 200_000
FLUSH_MS = 100


def build(t_env: StreamTableEnvironment, address: StoreAddress, flink: FlinkSettings) -> DataStream:
    """The tables of ``INPUTS`` (``sql_tables.create_event_table``) -> counts and feature rows in the store.

    The stream that comes back is empty.
    """
    config = t_env.get_config()
    config.set("table.exec.mini-batch.enabled", "true")
    config.set("table.exec.mini-batch.allow-latency", f"{BATCH_MS} ms")
    config.set("table.exec.mini-batch.size", str(BATCH_ROWS))
    t_env.create_temporary_view("edges", t_env.sql_query(engagement_queries.edges()))
    t_env.create_temporary_view("posts", t_env.sql_query(engagement_queries.posts()))
    counts = t_env.sql_query(engagement_queries.counts("edges", "posts", flink.shards))
    partitions, shards = address.redis.partitions, flink.shards
    return (
        t_env.to_changelog_stream(counts, _changelog_schema(), ChangelogMode.upsert())
        .key_by(lambda row: row[1] % partitions % shards, key_type=Types.INT())
        .process(EngagementWriter(address, max(FLUSH_MS, flink.flush_ms)), output_type=Types.STRING())
        .uid("engagement-counts")
        .name("write counts")
    )


def main() -> None:
    settings = StreamSettings()
    env = connectors.environment(settings, JOB)
    connectors.require_topics(settings, INPUTS)
    t_env = StreamTableEnvironment.create(env)
    group = connectors.job_name(settings, JOB)
    for topic in INPUTS:
        source = sql_tables.kafka_source(topic, settings.namespace, settings.kafka.bootstrap, group)
        sql_tables.create_event_table(t_env, topic, source)
    # A stream without a sink would not run.
    build(t_env, StoreAddress.of(settings), settings.flink).print()
    env.execute(group)


def _changelog_schema() -> Schema:
    builder = Schema.new_builder()
    types = ("STRING NOT NULL", "BIGINT NOT NULL", "BIGINT NOT NULL", *["BIGINT NOT NULL"] * 4, "BIGINT")
    for name, sql_type in zip(engagement_queries.COLUMNS, types, strict=True):
        builder.column(name, sql_type)
    return builder.primary_key("family", "id", "pane").build()
