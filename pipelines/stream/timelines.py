"""Flink job ``timelines``: tweets and follows into home timelines and outboxes.

batches -> fan-out (keyed by author shard; writes edges, outboxes, pulled marks) -> delivery (keyed by store
shard; writes home timelines). Large authors' entries wait between the two in a backlog; the largest authors'
followers are joined by a step of their own, keyed by follower shard. An outbox is written
before its entry is delivered, and an edge before its backfill, so that a rebuild that runs meanwhile misses
nothing. All writes may be repeated.
"""

from __future__ import annotations

from contextlib import closing

from pyflink.common import Types
from pyflink.datastream import DataStream

from ingestion.topics import SETTINGS
from pipelines.jobs import JOB_TOPICS
from pipelines.settings import FlinkSettings, StreamSettings
from pipelines.stream import connectors, decoding
from pipelines.stream.author_shards import PAYLOAD
from pipelines.stream.delivery import Delivery
from pipelines.stream.fan_out_operator import TO_SHARES, FanOutOperator, FanOutShares
from pipelines.stream.store import Store, StoreAddress
from timelines import commands

JOB = "timelines"


def build(batches: DataStream, address: StoreAddress, flink: FlinkSettings) -> DataStream:
    """Record batches (users, follows, tweets by author shard; settings in every shard) -> dead letters."""
    fanned = (
        batches.key_by(lambda batch: batch[0], key_type=Types.INT())
        .process(FanOutOperator(address, flink.shards), output_type=PAYLOAD)
        .uid("fan-out")
        .name("fan out")
    )
    shares = (
        fanned.get_side_output(TO_SHARES)
        .key_by(lambda message: message[0], key_type=Types.INT())
        .process(FanOutShares(address, flink.shards), output_type=PAYLOAD)
        .uid("fan-out-shares")
        .name("fan out shares")
    )
    delivered = (
        fanned.union(shares)
        .key_by(lambda part: part[0], key_type=Types.INT())
        .process(Delivery(address, flink.flush_ms), output_type=Types.STRING())
        .uid("delivery")
        .name("deliver")
    )
    return fanned.get_side_output(decoding.DEAD_LETTERS).union(delivered)


def note_beginning(address: StoreAddress) -> None:
    """Tell readers of the store that what it lacks was never there, for the job begins with the log."""
    store = Store(address)
    with closing(store), store.pipeline() as pipe:
        commands.note_beginning(pipe, store.keys)


def main() -> None:
    settings = StreamSettings()
    if not settings.flink.restore_from:
        note_beginning(StoreAddress.of(settings))
    env = connectors.environment(settings, JOB)
    topics = [topic for topic in JOB_TOPICS[JOB] if topic != SETTINGS]
    batches = connectors.event_batches(env, settings, JOB, topics, to_all=(SETTINGS,))
    connectors.dead_letter_sink(build(batches, StoreAddress.of(settings), settings.flink), settings)
    env.execute(connectors.job_name(settings, JOB))
