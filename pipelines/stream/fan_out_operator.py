"""The keyed operators of fan-out: edges, outboxes and pulled marks into the store, deliveries out.

``FanOutOperator`` is keyed by author and hands the largest over to ``FanOutShares``, keyed by follower.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext

from ingestion.events import decode
from pipelines.stream.author_shards import PAYLOAD, AuthorShards, Shard
from pipelines.stream.decoding import DEAD_LETTERS, decode_batch
from pipelines.stream.fan_out import FanOut, fan_out, unfit, without_followers
from pipelines.stream.spreading import ToShare, decode_message, encode_message, pulled_in, take_over
from pipelines.stream.tiers import FanOutTiers
from timelines import commands
from timelines.edges import edge_score
from timelines.keys import Keyspace

TO_SHARES = OutputTag("to-shares", PAYLOAD)


def settle_ties(pipe: Any, keys: Keyspace, result: FanOut) -> None:
    for tie in result.ties:
        commands.settle_tie(pipe, keys, *tie)


class FanOutOperator(AuthorShards):
    """Record batches keyed by author shard -> packed deliveries keyed by store shard; aside, dead letters and
    what concerns the shares of spread authors' followers."""

    def open(self, runtime_context: RuntimeContext) -> None:
        super().open(runtime_context)
        self._rejected = runtime_context.get_metrics_group().counter("dead_letters")

    def process_element(self, batch: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        number, events, letters = decode_batch(batch, unfit)
        for letter in letters:
            yield DEAD_LETTERS, letter
        shard, timers = self.shard(number), ctx.timer_service()
        here, elsewhere = shard.spread.divide(events)
        recheck = self.change_settings(shard, here)
        settings = self.store.settings
        result = fan_out(here, shard.authors, shard.tiers, settings.length, recheck)
        self._write(shard, result)
        yield from self.parts(result.deliveries)
        shard.queue(result, timers.current_processing_time())
        if elsewhere:
            apart = without_followers(elsewhere)
            self._write(shard, apart)
            yield from self.parts(apart.deliveries)
        messages = shard.spread.messages(
            here, elsewhere, shard.authors, shard.backlog, shard.tiers, settings.spread_above
        )
        if pulled := pulled_in(messages):
            with self.store.pipeline() as pipe:
                commands.mark_pulled_shares(pipe, self.store.keys, pulled, range(self.shard_count))
        for target, message in enumerate(messages):
            if message != ToShare():
                yield TO_SHARES, Row(target, encode_message(message))
        self.set_timer(shard, timers)
        self.events.inc(len(events))
        self._rejected.inc(len(letters))

    def knows(self, shard: Shard, author_id: int) -> bool:
        return author_id % self.shard_count == shard.number

    def _write(self, shard: Shard, result: FanOut) -> None:
        keys = self.store.keys
        with self.store.pipeline() as pipe:
            for follower, changes in result.edges.items():
                scores = {str(followee): edge_score(*change) for followee, change in changes.items()}
                pipe.zadd(keys.followees(follower), scores, gt=True)
            settle_ties(pipe, keys, result)
            commands.append_outbox(pipe, keys, self.store.settings, result.entries)
            self.mark(pipe, shard, result.pulled)


class FanOutShares(AuthorShards):
    """Messages to shares keyed by follower shard -> packed deliveries keyed by store shard.

    Edges and outboxes are in the store before a share is told of them.
    """

    def process_element(self, row: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        message = decode_message(row[1])
        shard, timers = self.shard(row[0]), ctx.timer_service()
        now, length = timers.current_processing_time(), self.store.settings.length
        events = [decode(event) for event in message.events]
        recheck = take_over(message.handovers, shard.authors, shard.backlog, length, now)
        recheck += self.change_settings(shard, events)
        if message.tiers and message.tiers.since > shard.tiers.since:
            recheck += self.set_tiers(shard, message.tiers)
        result = fan_out(events, shard.authors, self.tiers(shard), length, recheck, to_authors=False)
        if result.pulled or result.ties:
            with self.store.pipeline() as pipe:
                settle_ties(pipe, self.store.keys, result)
                self.mark(pipe, shard, result.pulled)
        yield from self.parts(result.deliveries)
        shard.queue(result, now)
        self.set_timer(shard, timers)
        self.events.inc(len(events))

    def tiers(self, shard: Shard) -> FanOutTiers:
        return shard.tiers.of_a_share(self.shard_count)

    def mark(self, pipe: Any, shard: Shard, authors: list[int]) -> None:
        commands.mark_pulled_shares(pipe, self.store.keys, authors, [shard.number])

    def unmark(self, pipe: Any, shard: Shard, authors: list[int]) -> None:
        commands.unmark_pulled_share(pipe, self.store.keys, authors, shard.number, self.shard_count)
