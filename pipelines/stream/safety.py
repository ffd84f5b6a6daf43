"""Flink job ``safety``: marks tweets and accounts for spam and fake engagement, with the reason.

Counting is Flink SQL and stays in the JVM; Python sees the few rows that pass a limit.
"""

from __future__ import annotations

from pyflink.common import Types
from pyflink.datastream import DataStream
from pyflink.table import StreamTableEnvironment

from ingestion.topics import MARKS
from pipelines.jobs import JOB_TOPICS
from pipelines.settings import StreamSettings
from pipelines.stream import connectors, safety_queries, sql_tables
from pipelines.stream.safety_marks import RECORD, Marker
from pipelines.stream.safety_rules import Limits
from pipelines.stream.store import StoreAddress

JOB = "safety"
INPUTS = JOB_TOPICS[JOB]
# Longer than an account counts as young: windows and births are forgotten after that much wall-clock time.
STATE_TTL = "26 h"


def build(t_env: StreamTableEnvironment, address: StoreAddress, limits: Limits) -> DataStream:
    """The tables of ``INPUTS`` -> records (key, value) for the topic of marks."""
    for key, value in {
        "table.exec.state.ttl": STATE_TTL,
        # The changes of a second to one key count as one: a tweet past a limit is told once, not with each
        # further act, to all who engaged with it.
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "1 s",
        "table.exec.mini-batch.size": "5000",
    }.items():
        t_env.get_config().set(key, value)
    for name, query in (
        ("acts", safety_queries.acts()),
        ("young", safety_queries.young("acts")),
        ("copies", safety_queries.copies(limits)),
        ("signals", safety_queries.signals("acts", "young", "copies", limits)),
    ):
        t_env.create_temporary_view(name, t_env.sql_query(query))
    return (
        t_env.to_changelog_stream(t_env.from_path("signals"))
        .key_by(lambda row: row[1], key_type=Types.LONG())
        .process(Marker(address, limits), output_type=RECORD)
        .uid("safety-marks")
        .name("mark")
    )


def write_log(t_env: StreamTableEnvironment, records: DataStream, settings: StreamSettings) -> None:
    """Attaches the sink that puts the records on the topic, by key."""
    t_env.create_temporary_view("mark_records", records)
    t_env.execute_sql(f"""
        CREATE TEMPORARY TABLE marks (record_key STRING, record_value STRING) WITH (
            'connector' = 'kafka',
            'topic' = '{MARKS.full_name(settings.namespace)}',
            'properties.bootstrap.servers' = '{settings.kafka.bootstrap}',
            'key.format' = 'raw',
            'key.fields' = 'record_key',
            'value.format' = 'raw',
            'value.fields-include' = 'EXCEPT_KEY'
        )""")
    statements = t_env.create_statement_set()
    statements.add_insert_sql("INSERT INTO marks SELECT record_key, record_value FROM mark_records")
    statements.attach_as_datastream()


def main() -> None:
    settings = StreamSettings()
    # As many keys as a day has first likes and retweets, each seldom asked for.
    env = connectors.environment(settings, JOB, "rocksdb")
    connectors.require_topics(settings, (*INPUTS, MARKS))
    t_env = StreamTableEnvironment.create(env)
    group = connectors.job_name(settings, JOB)
    for topic in INPUTS:
        names = connectors.names_of(settings, JOB, [topic])
        source = sql_tables.kafka_source(names, settings.kafka.bootstrap, group)
        sql_tables.create_event_table(t_env, topic, source, used=safety_queries.USED)
    write_log(t_env, build(t_env, StoreAddress.of(settings), Limits()), settings)
    env.execute(group)
