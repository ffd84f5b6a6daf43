"""Flink job ``engagement``: what was done with tweets and accounts, and lately, as counts and features.

Finding what stands is Flink SQL and stays in the JVM; Python gets the changes of half a second as arrays and
adds them up with numpy.
"""

from __future__ import annotations

from pyflink.common import Types
from pyflink.datastream import DataStream
from pyflink.table import StreamTableEnvironment

from pipelines.jobs import JOB_TOPICS
from pipelines.settings import FlinkSettings, StreamSettings
from pipelines.stream import connectors, engagement_queries, sql_tables
from pipelines.stream.engagement_counts import EngagementWriter
from pipelines.stream.store import StoreAddress

JOB = "engagement"
INPUTS = JOB_TOPICS[JOB]
# The largest part of the delay between a like and its count; also how often a hot tweet is written.
BATCH_MS = 500
CHECKPOINT_EVERY = 12
# Half a dozen shuffles each hand over what they have after that long: a small part of BATCH_MS.
BUFFER_MS = 25
# ``engagement_queries.Batch``
RECORD = Types.ROW([Types.INT(), *[Types.OBJECT_ARRAY(Types.LONG())] * 3, Types.OBJECT_ARRAY(Types.DOUBLE())])


def create_views(t_env: StreamTableEnvironment, partitions: int, shards: int) -> None:
    """From the tables of ``INPUTS`` to the views ``marks`` and ``arriving_pairs``."""
    _view(t_env, "edges", engagement_queries.edges())
    _view(t_env, "posts", engagement_queries.posts())
    _view(t_env, "answers", engagement_queries.answers("posts"))
    _view(t_env, "shown", engagement_queries.shown())
    _view(t_env, "showings", engagement_queries.showings("shown"))
    for changelog in ("edges", "posts", "answers", "showings"):
        _view(t_env, f"{changelog}_rows", engagement_queries.as_rows(changelog))
    _view(t_env, "changes", engagement_queries.changes("edges_rows", "posts_rows"))
    marks = engagement_queries.marks("changes", "answers_rows", "showings_rows", partitions, shards)
    _view(t_env, "marks", marks)
    _view(t_env, "pairs", engagement_queries.pairs("changes", "answers_rows"))
    _view(t_env, "pairs_rows", engagement_queries.as_rows("pairs"))
    _view(t_env, "arriving_pairs", engagement_queries.arriving_pairs("pairs_rows", partitions, shards))


def build(t_env: StreamTableEnvironment, address: StoreAddress, flink: FlinkSettings) -> DataStream:
    """The tables of ``INPUTS`` (``sql_tables.create_event_table``) -> counts and feature rows in the store.

    The stream that comes back is empty.
    """
    create_views(t_env, address.redis.partitions, flink.shards)
    rows = t_env.sql_query(engagement_queries.batches("marks", "arriving_pairs", BATCH_MS))
    records = connectors.keyed_records(t_env, rows, RECORD)
    # Operators of Flink SQL keep no row that they were handed: no need to copy each between any two of them.
    records.get_execution_environment().get_config().enable_object_reuse()
    return (
        records.process(EngagementWriter(address), output_type=Types.STRING())
        .uid("engagement-tallies")
        .name("write counts")
    )


def main() -> None:
    settings = StreamSettings()
    env = connectors.environment(settings, JOB, checkpoint_every=CHECKPOINT_EVERY)
    env.set_buffer_timeout(BUFFER_MS)
    connectors.require_topics(settings, INPUTS)
    t_env = StreamTableEnvironment.create(env)
    group = connectors.job_name(settings, JOB)
    for topic in INPUTS:
        names = connectors.names_of(settings, JOB, [topic])
        source = sql_tables.kafka_source(names, settings.kafka.bootstrap, group)
        sql_tables.create_event_table(t_env, topic, source, used=engagement_queries.USED)
    # A stream without a sink would not run.
    build(t_env, StoreAddress.of(settings), settings.flink).print()
    env.execute(group)


def _view(t_env: StreamTableEnvironment, name: str, query: str) -> None:
    t_env.create_temporary_view(name, t_env.sql_query(query))
