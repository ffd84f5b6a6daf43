"""The keyed operator of the ``engagement`` job: changed counts of one shard, folded and written together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import redis
from pyflink.common import Row, RowKind, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor

from features.aggregates import Engagements, TweetEngagement, falls_out
from features.names import TWEET_ENGAGEMENT
from features.rows import encode_rows, load_functions, put_rows
from pipelines.stream.delivery import END_OF_INPUT
from pipelines.stream.engagement_queries import ACCOUNT, TWEET
from pipelines.stream.store import Store, StoreAddress
from timelines.bodies import AccountCounts, TweetCounts, encode_account_counts, encode_tweet_counts
from timelines.commands import KEYS_PER_CALL
from timelines.keys import Keyspace

FLUSH_ROWS = 5000

Change = tuple[str, int, int, int, int, int, int, int]
"""family, id, pane, four counts, newest event time."""


class EngagementWriter(KeyedProcessFunction):  # type: ignore[misc]
    """Rows of ``engagement_queries.counts`` keyed by store shard -> counts and feature rows; emits nothing.

    Event time is, per shard, the newest that any row brought: watermarks do not pass a batched aggregation.
    When it outlives a pane, the tweets engaged with in that pane are written again with what is left.
    """

    def __init__(self, address: StoreAddress, flush_ms: int) -> None:
        self._address = address
        self._flush_ms = flush_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        self._store = Store(self._address)
        with redis.Redis.from_url(self._address.redis.url) as client:
            load_functions(client)
        self._pending = runtime_context.get_list_state(
            ListStateDescriptor("pending_changes_v1", Types.PICKLED_BYTE_ARRAY())
        )
        self._tweets = runtime_context.get_map_state(
            MapStateDescriptor("tweets_v1", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
        )
        self._due = runtime_context.get_map_state(
            MapStateDescriptor("due_v1", Types.LONG(), Types.PICKLED_BYTE_ARRAY())
        )
        self._clock = runtime_context.get_state(ValueStateDescriptor("clock_v1", Types.LONG()))
        self._waiting: dict[int, int] = {}

    def close(self) -> None:
        self._store.close()

    def process_element(self, row: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        shard = ctx.get_current_key()
        family, entity, pane, *counts, changed = row
        if row.get_row_kind() == RowKind.DELETE:
            counts = [0, 0, 0, 0]
        self._pending.add((family, entity, pane, *counts, changed))
        if shard not in self._waiting:
            timers = ctx.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + self._flush_ms)
            timers.register_event_time_timer(END_OF_INPUT)
        self._waiting[shard] = self._waiting.get(shard, 0) + 1
        if self._waiting[shard] >= FLUSH_ROWS:
            self._flush(shard)
        return iter(())

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        self._flush(ctx.get_current_key())
        return iter(())

    def _flush(self, shard: int) -> None:
        self._waiting.pop(shard, None)
        changes: list[Change] = list(self._pending.get())
        if not changes:
            return
        before = self._clock.value() or 0
        clock = max(before, *(change[-1] for change in changes))
        tweets = self._fold(changes, clock)
        accounts = {change[1]: change for change in changes if change[0] == ACCOUNT}
        for tweet_id in self._outlived(clock) - tweets.keys():
            tweets[tweet_id] = TweetEngagement.decode(self._tweets.get(tweet_id))
        for tweet in tweets.values():
            tweet.advance(clock)
        self._write(tweets, list(accounts.values()), clock)
        for tweet_id, tweet in tweets.items():
            self._tweets.put(tweet_id, tweet.encode())
        self._clock.update(clock)
        self._pending.clear()

    def _fold(self, changes: list[Change], clock: int) -> dict[int, TweetEngagement]:
        """The changed tweets, and in ``due`` when their panes will be outlived."""
        tweets: dict[int, TweetEngagement] = {}
        due: dict[int, set[int]] = {}
        for family, tweet_id, pane, *counts, changed in changes:
            if family != TWEET:
                continue
            if tweet_id not in tweets:
                tweets[tweet_id] = TweetEngagement.decode(self._tweets.get(tweet_id))
            tweets[tweet_id].replace(pane, Engagements(*counts), changed)
            if falls_out(pane) > clock:
                due.setdefault(falls_out(pane), set()).add(tweet_id)
        for moment, ids in due.items():
            self._due.put(moment, ids | (self._due.get(moment) or set()))
        return tweets

    def _outlived(self, clock: int) -> set[int]:
        """Tweets with a pane that has left the last hour since the flush before; forgets them."""
        moments = [moment for moment in self._due.keys() if moment <= clock]  # noqa: SIM118 - a state, no dict
        ids = {tweet_id for moment in moments for tweet_id in self._due.get(moment)}
        for moment in moments:
            self._due.remove(moment)
        return ids

    def _write(self, tweets: dict[int, TweetEngagement], accounts: list[Change], clock: int) -> None:
        keys = self._store.keys
        totals = {tweet_id: tweet.totals() for tweet_id, tweet in tweets.items()}
        with self._store.pipeline() as pipe:
            _put_counts(
                pipe,
                keys,
                "counts",
                {
                    tweet_id: encode_tweet_counts(TweetCounts(*counts), tweets[tweet_id].version)
                    for tweet_id, counts in totals.items()
                },
            )
            _put_counts(
                pipe,
                keys,
                "account_counts",
                {
                    user: encode_account_counts(AccountCounts(followers, following, made), changed)
                    for _, user, _, followers, following, made, _, changed in accounts
                },
            )
            if tweets:
                values = [(*counts, tweets[tweet_id].last_hour(clock)) for tweet_id, counts in totals.items()]
                versions = np.array([tweet.version for tweet in tweets.values()], dtype=np.int64)
                packed = encode_rows(TWEET_ENGAGEMENT, versions, np.array(values, dtype=np.float32))
                put_rows(pipe, keys, TWEET_ENGAGEMENT, [(tweet_id,) for tweet_id in tweets], packed)


def _put_counts(pipe: Any, keys: Keyspace, kind: str, values: Mapping[int, bytes]) -> None:
    """The versioned writes of ``timelines.commands``, many keys of a partition in one call."""
    by_partition: dict[int, list[int]] = {}
    for entity in values:
        by_partition.setdefault(keys.partition(entity), []).append(entity)
    for entities in by_partition.values():
        for start in range(0, len(entities), KEYS_PER_CALL):
            part = entities[start : start + KEYS_PER_CALL]
            pipe.fcall("put_versioned", len(part), *keys.keys(kind, part), *map(values.__getitem__, part))
