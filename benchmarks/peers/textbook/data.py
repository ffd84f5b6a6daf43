"""What our store holds of a seeded world, written a second time in the textbook's own forms."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from benchmarks.feed_world import World
from benchmarks.peers.textbook.feature_store import definitions
from benchmarks.peers.textbook.shapes import Account, Tweet
from features.names import VIEWS
from features.rows import wide_read
from ingestion.snowflake import time_of
from serving.reads import Reads
from serving.shapes import TweetCounts, User
from timelines.bodies import TweetBody
from timelines.entry import Entries
from timelines.home import HomeReader
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings


async def copy(ours: Any, keys: Keyspace, settings: TimelineSettings, world: World, theirs: Any) -> None:
    """``ours`` is an asyncio client that does not decode, ``theirs`` a synchronous one, of one server."""
    reads = Reads(ours, keys)
    pipe = theirs.pipeline(transaction=False)
    pulled = [int(author) for author in await ours.smembers(keys.pulled())]
    pipe.sadd("pulled", *pulled)
    home_reader = HomeReader(ours, keys, settings)
    for reader in world.readers:
        home = await home_reader.read(reader)
        pipe.sadd(f"following:{reader}", *home.followees.tolist())
        _put_timeline(pipe, f"timeline:{reader}", home.entries[~home.entries["pulled"]])
    for author in pulled:  # every reader follows all authors
        of_author = home.entries["pulled"] & (home.entries["author"] == author)
        _put_timeline(pipe, f"outbox:{author}", home.entries[of_author])
    counts = await reads.tweet_counts(world.tweets)
    for body, count in zip(await reads.bodies(world.tweets), counts, strict=True):
        if body is not None:
            _put_tweet(pipe, body, count)
    users = await reads.users(world.readers[0], [*world.readers, *world.authors])
    for user in users.values():
        _put_account(pipe, user)
    pipe.execute()


async def copy_features(ours: Any, keys: Keyspace, world: World, store: FeatureStore) -> None:
    """Each value as our store reads it now: the textbook's windows do not decay between two writes."""
    store.apply(definitions())
    now_ms = time.time_ns() // 1_000_000
    pairs = [(reader, author) for reader in world.readers for author in world.authors]
    members: Mapping[tuple[str, ...], Sequence[tuple[int, ...]]] = {
        ("user",): [(reader,) for reader in world.readers],
        ("author",): [(author,) for author in world.authors],
        ("user", "author"): pairs,
        ("tweet",): [(tweet,) for tweet in world.tweets],
    }
    for view in VIEWS:
        entities = members[view.entities]
        columns = np.array(entities, dtype=np.int64).T
        ids = dict(zip(view.entities, columns, strict=True))
        matrix = (await wide_read(ours, keys, (view,), ids, now_ms)).matrix
        rows = [
            (
                EntityKey(join_keys=view.entities, entity_values=[Value(int64_val=one) for one in entity]),
                {name: Value(float_val=value) for name, value in zip(view.columns, values, strict=True)},
                datetime.fromtimestamp(now_ms / 1000, UTC),
                None,
            )
            for entity, values in zip(entities, matrix.tolist(), strict=True)
        ]
        store.provider.online_write_batch(store.config, store.get_feature_view(view.name), rows, None)


def _put_timeline(pipe: Any, key: str, entries: Entries) -> None:
    members = {
        f"{entry['appearance']}:{entry['author']}:{entry['original']}:{entry['original_author']}": time_of(
            int(entry["appearance"])
        )
        for entry in entries
    }
    if members:
        pipe.zadd(key, members)


def _put_tweet(pipe: Any, body: TweetBody, counts: TweetCounts) -> None:
    tweet = Tweet(
        id=str(body.tweet_id),
        author_id=body.author_id,
        text=body.text,
        created_at=datetime.fromtimestamp(body.created_at / 1000, UTC),
        lang=body.lang,
        place=body.place,
        visibility=body.visibility,
        in_reply_to=None if body.in_reply_to is None else str(body.in_reply_to),
        quote_of=None if body.quote_of is None else str(body.quote_of),
        hashtags=list(body.hashtags),
        mentions=[str(user) for user in body.mentions],
        media=list(body.media),
        deleted=body.deleted,
    )
    pipe.set(f"tweet:{tweet.id}", tweet.model_dump_json())
    pipe.hset(f"tweet_counts:{tweet.id}", mapping=dict(counts))


def _put_account(pipe: Any, user: User) -> None:
    account = Account.model_validate(user)
    pipe.set(f"account:{account.id}", account.model_dump_json())
    pipe.hset(f"account_counts:{account.id}", mapping=dict(user["counts"]))
