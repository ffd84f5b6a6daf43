"""Marks on a real store: a person's word outranks a rule's, and repeating changes nothing."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import redis
import redis.asyncio

from ingestion.events import MarkChanged
from pipelines.stream import content
from serving.feed.candidates import FOLLOWING, Candidates
from serving.feed.filters import Marked
from serving.feed.hydrators import Marks
from serving.feed.query import FeedQuery
from serving.reads import Reads
from timelines.keys import Keyspace
from timelines.marks import StoredMark, decode_mark, put_mark

pytestmark = pytest.mark.valkey

KEYS = Keyspace("marks", 4)
RULE = StoredMark("quarantine", "identical_text", 1_700_000_000_000, False)
LIFTED = StoredMark("allow", "a mistake", 1_700_000_001_000, True)
AGAIN = StoredMark("quarantine", "identical_text", 1_700_000_002_000, False)


@pytest.fixture
def store(valkey: str) -> redis.Redis:
    client = redis.Redis.from_url(valkey)
    client.flushall()
    return client


def put(store: redis.Redis, target: str, target_id: int, *marks: StoredMark) -> None:
    pipe = store.pipeline(transaction=False)
    for mark in marks:
        put_mark(pipe, KEYS, target, target_id, mark)
    pipe.execute()


def marked(valkey: str, tweets: list[int], accounts: list[int]) -> tuple[set[int], set[int]]:
    async def read() -> tuple[set[int], set[int]]:
        async with redis.asyncio.Redis.from_url(valkey) as client:
            return await Reads(client, KEYS).marked(tweets, accounts)

    return asyncio.run(read())


def test_marked_tweets_and_accounts_are_told_from_others(valkey: str, store: redis.Redis) -> None:
    put(store, "tweet", 7, RULE)
    put(store, "account", 3, StoredMark("limit", "engagement_rate", 5, False))
    assert marked(valkey, [6, 7], [3, 4]) == ({7}, {3})
    stored = decode_mark(store.get(KEYS.key("mark_tweet", 7)))
    assert stored == RULE


@pytest.mark.parametrize(
    "order", [(RULE, LIFTED, AGAIN), (AGAIN, LIFTED, RULE), (LIFTED, RULE, AGAIN, LIFTED)]
)
def test_what_a_person_lifted_no_rule_marks_anew(
    valkey: str, store: redis.Redis, order: tuple[StoredMark, ...]
) -> None:
    put(store, "tweet", 7, *order)
    assert marked(valkey, [7], [1]) == (set(), set())
    assert decode_mark(store.get(KEYS.key("mark_tweet", 7))) == LIFTED


def test_content_puts_marks_and_what_a_person_lifted_back_from_the_log(
    valkey: str, store: redis.Redis
) -> None:
    pipe = store.pipeline(transaction=False)
    events = [
        MarkChanged(
            event_id=f"m{number}",
            ts=mark.ts,
            target="tweet",
            target_id=tweet,
            verdict=mark.verdict,  # type: ignore[arg-type]
            reason=mark.reason,
            by_person=mark.by_person,
        )
        for number, (tweet, mark) in enumerate([(6, RULE), (7, LIFTED), (7, AGAIN)])
    ]
    content.write(pipe, KEYS, events)
    pipe.execute()
    assert marked(valkey, [6, 7], [1]) == ({6}, set())
    assert decode_mark(store.get(KEYS.key("mark_tweet", 7))) == LIFTED


def test_the_later_mark_of_a_rule_stands_and_the_worse_one_at_the_same_moment(store: redis.Redis) -> None:
    limit = StoredMark("limit", "engagement_rate", RULE.ts, False)
    put(store, "account", 7, RULE, limit)
    assert decode_mark(store.get(KEYS.key("mark_account", 7))) == RULE


def test_a_candidate_of_a_marked_author_or_retweeter_is_taken_out(valkey: str, store: redis.Redis) -> None:
    put(store, "account", 3, RULE)
    put(store, "tweet", 12, RULE)

    tweets = np.array([10, 11, 12, 13])
    authors, original_authors = np.array([1, 3, 2, 3]), np.array([1, 1, 2, 3])
    retweeted = authors != original_authors
    candidates = Candidates.of(
        tweets + 100 * retweeted, authors, tweets, original_authors, retweeted, FOLLOWING
    )
    query = FeedQuery(reader=9, limit=10, now_ms=0, request_id="q")

    async def hydrated() -> Candidates:
        async with redis.asyncio.Redis.from_url(valkey) as client:
            return candidates.with_columns(await Marks(Reads(client, KEYS)).hydrate(query, candidates))

    kept = Marked().keep(query, asyncio.run(hydrated()))
    assert tweets[kept].tolist() == [10]
