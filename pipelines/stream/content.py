"""Flink job ``content``: what is shown with an entry and who liked or retweeted it, into the store.

Tweet bodies and tombstones, account cards, each user's likes, retweets and newest opened tweets, mutes,
blocks, muted words and hidden authors; marks, which are there already unless the store has lost them. The job
keeps no state: a batch is written before the checkpoint that covers it completes, and every write may be
repeated. Follow edges are written by ``timelines``, which needs them in the store before its backfills.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, ProcessFunction, RuntimeContext

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    AuthorHidden,
    BlockChanged,
    ClientReport,
    LikeChanged,
    MarkChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.stored import body_of, card_of, mark_of
from pipelines.jobs import JOB_TOPICS
from pipelines.settings import StreamSettings
from pipelines.stream import connectors
from pipelines.stream.decoding import DEAD_LETTERS, decode_batch
from pipelines.stream.fan_out import unfit
from pipelines.stream.store import Store, StoreAddress
from timelines import commands
from timelines.bodies import tombstone
from timelines.edges import edge_score
from timelines.keys import Keyspace
from timelines.marks import put_mark

JOB = "content"


def write(pipe: Any, keys: Keyspace, events: Iterable[AnyEvent]) -> None:
    """Put the writes of these events on a pipeline; changes of one reader set go in one command."""
    sets: dict[str, dict[str, int]] = {}
    opened: dict[int, dict[int, int]] = {}

    def change(key: str, member: int, ts_ms: int, active: bool) -> None:
        scores = sets.setdefault(key, {})
        score = edge_score(ts_ms, active)
        scores[str(member)] = max(score, scores.get(str(member), 0))

    for event in events:
        match event:
            case TweetCreated():
                commands.put_body(pipe, keys, body_of(event))
            case TweetDeleted():
                commands.put_body(pipe, keys, tombstone(event.tweet_id, event.author_id))
            case AccountRegistered():
                commands.put_card(pipe, keys, card_of(event), event.ts)
            case MuteChanged():
                change(keys.muted(event.user_id), event.muted_id, event.ts, event.active)
            case BlockChanged():
                change(keys.blocked(event.user_id), event.blocked_id, event.ts, event.active)
                change(keys.blocked_by(event.blocked_id), event.user_id, event.ts, event.active)
            case MutedWordsChanged():
                commands.put_muted_words(pipe, keys, event.user_id, event.words, event.ts)
            case AuthorHidden():
                commands.set_hidden_author(pipe, keys, event.user_id, event.author_id, event.ts)
            case LikeChanged():
                change(keys.likes(event.user_id), event.tweet_id, event.ts, event.active)
            case RetweetChanged():
                change(keys.retweets(event.user_id), event.tweet_id, event.ts, event.active)
            case MarkChanged():
                put_mark(pipe, keys, event.target, event.target_id, mark_of(event))
            case ClientReport(action="open"):
                moments = opened.setdefault(event.user_id, {})
                moments[event.tweet_id] = max(event.ts, moments.get(event.tweet_id, 0))
    for key, scores in sets.items():
        pipe.zadd(key, scores, gt=True)
    for user, moments in opened.items():
        commands.set_opened(pipe, keys, user, moments)


class ContentWriter(ProcessFunction):  # type: ignore[misc]
    """Record batches -> the store; emits only dead letters, to the side."""

    def __init__(self, address: StoreAddress) -> None:
        self._address = address

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        self._events = runtime_context.get_metrics_group().counter("events")

    def close(self) -> None:
        self._store.close()

    def process_element(self, batch: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        _, events, letters = decode_batch(batch, unfit)
        with self._store.pipeline() as pipe:
            write(pipe, self._store.keys, events)
        self._events.inc(len(events))
        for letter in letters:
            yield DEAD_LETTERS, letter


def build(batches: DataStream, address: StoreAddress) -> DataStream:
    """Record batches of ``JOB_TOPICS`` -> dead letters (JSON strings)."""
    written = batches.process(ContentWriter(address), output_type=Types.STRING()).uid("write").name("write")
    return written.get_side_output(DEAD_LETTERS)


def main() -> None:
    settings = StreamSettings()
    env = connectors.environment(settings, JOB)
    batches = connectors.event_batches(env, settings, JOB, JOB_TOPICS[JOB])
    connectors.dead_letter_sink(build(batches, StoreAddress.of(settings)), settings)
    env.execute(connectors.job_name(settings, JOB))
