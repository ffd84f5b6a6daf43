"""What a publisher of tweets is promised, in memory and on a real Valkey: idempotency keys and the limit."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio

from ingestion.api.idempotency import LEASE_MS, Begun, Idempotency, MemoryIdempotency, RedisIdempotency
from ingestion.api.limits import MemoryTweetLimit, RedisTweetLimit, TweetLimit
from timelines.keys import Keyspace

NOW = 1_900_000_000_000
ANN, BEN = 1, 2
_namespaces = itertools.count()

Scenario = Callable[[Idempotency, TweetLimit], Awaitable[None]]


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.valkey)])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario with a day of keys and a limit of 2 tweets in 100 s."""
    if request.param == "memory":
        return lambda scenario: asyncio.run(scenario(MemoryIdempotency(86_400), MemoryTweetLimit(2, 100)))  # type: ignore[arg-type]
    url = request.getfixturevalue("valkey")

    async def on_valkey(scenario: Scenario) -> None:
        client = redis.asyncio.Redis.from_url(url)
        keys = Keyspace(f"publisher{next(_namespaces)}", 4)
        await scenario(RedisIdempotency(client, keys, 86_400), RedisTweetLimit(client, keys, 2, 100))
        await client.aclose()

    return lambda scenario: asyncio.run(on_valkey(scenario))


def test_a_finished_request_is_answered_again_and_runs_no_more(run: Callable[[Scenario], None]) -> None:
    async def scenario(keys: Idempotency, _: TweetLimit) -> None:
        assert await keys.begin(ANN, "k", b"body", 7, NOW) == Begun("run", tweet_id=7)
        await keys.finish(ANN, "k", b"answer")
        assert await keys.begin(ANN, "k", b"body", 8, NOW + LEASE_MS * 9) == Begun("replay", answer=b"answer")

    run(scenario)


def test_a_request_that_runs_keeps_others_out_until_its_lease_ends(run: Callable[[Scenario], None]) -> None:
    async def scenario(keys: Idempotency, _: TweetLimit) -> None:
        await keys.begin(ANN, "k", b"body", 7, NOW)
        assert (await keys.begin(ANN, "k", b"body", 8, NOW + LEASE_MS - 1)).state == "running"
        assert await keys.begin(ANN, "k", b"body", 8, NOW + LEASE_MS) == Begun("run", tweet_id=7)
        assert (await keys.begin(ANN, "k", b"body", 9, NOW + LEASE_MS + 1)).state == "running"

    run(scenario)


def test_a_failed_request_is_taken_up_at_once_under_the_same_id(run: Callable[[Scenario], None]) -> None:
    async def scenario(keys: Idempotency, _: TweetLimit) -> None:
        await keys.begin(ANN, "k", b"body", 7, NOW)
        await keys.release(ANN, "k")
        assert await keys.begin(ANN, "k", b"body", 8, NOW + 1) == Begun("run", tweet_id=7)

    run(scenario)


def test_a_key_belongs_to_one_body_of_one_user(run: Callable[[Scenario], None]) -> None:
    async def scenario(keys: Idempotency, _: TweetLimit) -> None:
        await keys.begin(ANN, "k", b"body", 7, NOW)
        assert (await keys.begin(ANN, "k", b"another", 8, NOW)).state == "other_body"
        assert await keys.begin(BEN, "k", b"another", 9, NOW) == Begun("run", tweet_id=9)

    run(scenario)


def test_a_window_slides_and_is_full_for_one_user_alone(run: Callable[[Scenario], None]) -> None:
    async def scenario(_: Idempotency, limit: TweetLimit) -> None:
        assert (await limit.take(ANN, 1, NOW)).remaining == 1
        assert (await limit.take(ANN, 2, NOW + 40_000)).remaining == 0
        full = await limit.take(ANN, 3, NOW + 50_500)
        assert (full.allowed, full.retry_after_s) == (False, 50)
        assert (await limit.take(BEN, 4, NOW + 50_500)).allowed
        assert (await limit.take(ANN, 3, NOW + 100_000)).allowed
        assert not (await limit.take(ANN, 5, NOW + 100_001)).allowed

    run(scenario)


def test_a_tweet_counts_once_and_not_at_all_when_given_back(run: Callable[[Scenario], None]) -> None:
    async def scenario(_: Idempotency, limit: TweetLimit) -> None:
        await limit.take(ANN, 1, NOW)
        await limit.take(ANN, 2, NOW)
        assert (await limit.take(ANN, 1, NOW + 1)).allowed
        await limit.give_back(ANN, 1)
        assert (await limit.take(ANN, 3, NOW + 2)).allowed

    run(scenario)
