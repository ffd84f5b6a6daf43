"""Flink job ``trends``: trending terms per place and window, for serving (Redis) and analysts (Parquet).

batches of one partition each -> occurrences (a few numpy arrays a batch) -> one operator that counts panes,
scores and lists. A tweet costs Python its decoding; the rest is numpy, a number of calls a batch and a pane.
"""

from __future__ import annotations

from pathlib import Path

from pyflink.common import Types
from pyflink.datastream import DataStream

from ingestion.topics import TWEETS
from pipelines.jobs import JOB_TOPICS
from pipelines.settings import FlinkSettings, StreamSettings
from pipelines.stream import connectors
from pipelines.stream.store import StoreAddress
from pipelines.stream.trend_operators import RECORD, ListTrends, ReadOccurrences
from pipelines.trends.plan import TrendPlan
from pipelines.trends.table import trends_folder

JOB = "trends"
BATCH_MS = 200
"""Lists change by the minute: a tweet may wait that long for company."""
# Each writes the packed counts and the journal since, 150 MB when the bound on pairs is met.
CHECKPOINT_EVERY = 12


def plan_of(flink: FlinkSettings) -> TrendPlan:
    return TrendPlan(languages=flink.trend_languages, max_pairs=flink.trend_pairs)


def build(
    batches: DataStream, address: StoreAddress, folder: Path, plan: TrendPlan, partitions: int, words: bool
) -> DataStream:
    """Record batches of the tweets topic, one of its ``partitions`` each -> an empty stream.

    Lists go to the store, rows to Parquet files in ``folder``.
    """
    return (
        batches.process(ReadOccurrences(plan, words), output_type=RECORD)
        .uid("read-occurrences")
        .name("read occurrences")
        .key_by(lambda part: part[0], key_type=Types.INT())
        .process(ListTrends(address, folder, plan, partitions, BATCH_MS), output_type=Types.STRING())
        .uid("list-trends")
        .name("list trends")
    )


def main() -> None:
    settings = StreamSettings()
    env = connectors.environment(settings, JOB, checkpoint_every=CHECKPOINT_EVERY)
    batches = connectors.event_batches(env, settings, JOB, JOB_TOPICS[JOB], shard_by=None, batch_ms=BATCH_MS)
    nothing = build(
        batches,
        StoreAddress.of(settings),
        trends_folder(settings.lake.path, settings.namespace),
        plan_of(settings.flink),
        connectors.partition_count(settings, TWEETS),
        settings.flink.trend_words,
    )
    # A stream without a sink would not run.
    nothing.print()
    env.execute(connectors.job_name(settings, JOB))
