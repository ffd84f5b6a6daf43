"""What one worker process of the write API holds open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from ingestion.api.idempotency import Idempotency, RedisIdempotency
from ingestion.api.limits import RedisTweetLimit, TweetLimit
from ingestion.api.problems import ProblemError
from ingestion.api.settings import WriteSettings
from ingestion.api.targets import Targets
from ingestion.events import Event
from ingestion.machine import claim_machine
from ingestion.outbox import message_of
from ingestion.publisher import KafkaPublisher, LogUnavailableError, Publisher
from ingestion.snowflake import SnowflakeSequence
from ingestion.stored import body_of_record
from records.connections import UNAVAILABLE, is_unavailable, open_engine
from records.lists import Lists
from records.relations import Relations
from timelines import functions
from timelines.bodies import TweetBody
from timelines.client import open_async_client
from timelines.home import HomeReader
from timelines.keys import Keyspace

logger = logging.getLogger(__name__)
RETRY = {"Retry-After": "2"}
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class WriteService:
    """The parts that routes use; ``clock`` gives milliseconds UTC."""

    settings: WriteSettings
    publisher: Publisher
    redis: Any
    keys: Keyspace
    targets: Targets
    relations: Relations
    lists: Lists
    idempotency: Idempotency
    tweet_limit: TweetLimit
    ids: SnowflakeSequence
    clock: Callable[[], int]

    async def publish(self, *events: Event) -> None:
        """Return once the log has acknowledged every event; 503 where it does not.

        The delivery is awaited to its end even when the client hangs up: what is acknowledged takes effect.
        """
        try:
            handed = [asyncio.wrap_future(self.publisher.publish(event)) for event in events]
            await asyncio.shield(asyncio.gather(*handed))
        except LogUnavailableError as error:
            logger.warning("A write was refused: %s", error)
            raise ProblemError(503, "The write cannot be taken at the moment.", headers=RETRY) from error

    async def look(self, answer: Awaitable[Answer]) -> Answer:
        """The store's answer; 503 where it does not give one."""
        try:
            return await answer
        except (RedisError, OSError) as error:
            logger.warning("The store does not answer: %s", error)
            raise ProblemError(503, "The store does not answer at the moment.", headers=RETRY) from error

    async def record(self, work: Awaitable[Answer]) -> Answer:
        """The outcome of a transaction of the records; 503 where PostgreSQL does not answer.

        It is awaited to its end even when the client hangs up: what is committed takes effect.
        """
        try:
            return await asyncio.shield(work)
        except UNAVAILABLE as error:
            if not is_unavailable(error):
                raise
            logger.warning("The records do not answer: %s", error)
            raise ProblemError(503, "The records do not answer at the moment.", headers=RETRY) from error

    async def tweet(self, tweet_id: int) -> TweetBody | None:
        """The body or the tombstone of a tweet, from the records where the store lacks it."""
        body = await self.look(self.targets.tweet(tweet_id))
        if body is not None:
            return body
        stored = (await self.record(self.lists.tweets([tweet_id]))).get(tweet_id)
        return None if stored is None else body_of_record(stored)

    async def account_exists(self, user: int) -> bool:
        """Whether the store or the records know the account."""
        known = await self.look(self.targets.account_exists(user))
        return known or user in await self.record(self.lists.accounts([user]))

    async def apply(self, put: Callable[[Any], None]) -> None:
        """Put the effects of an acknowledged write into the store.

        A failure is only logged: the write is on the log, and the stream jobs apply it.
        """
        pipe = self.redis.pipeline(transaction=False)
        put(pipe)
        await self.attempt(pipe.execute())

    async def attempt(self, work: Awaitable[object]) -> None:
        """Work that an acknowledged write does not depend on."""
        try:
            await work
        except (RedisError, OSError) as error:
            logger.warning("The effects of a write are left to the stream jobs: %s", error)

    async def backfill(self, reader: int, author: int) -> None:
        """Have a new followee's tweets in the follower's timeline at once."""
        reader_of = HomeReader(self.redis, self.keys, self.settings.timelines)
        await self.attempt(reader_of.backfill(reader, author))


def build_service(
    settings: WriteSettings,
    publisher: Publisher,
    redis: Any,
    engine: AsyncEngine,
    machine: int,
    clock: Callable[[], int],
) -> WriteService:
    """The service over an asyncio redis-py client that does not decode, and the engine of the records."""
    keys = Keyspace.of(settings)
    section = settings.writes
    return WriteService(
        settings=settings,
        publisher=publisher,
        redis=redis,
        keys=keys,
        targets=Targets(redis, keys, settings.timelines.length),
        relations=Relations(engine, message_of, lambda: str(uuid.uuid4())),
        lists=Lists(engine),
        idempotency=RedisIdempotency(redis, keys, section.idempotency_seconds),
        tweet_limit=RedisTweetLimit(redis, keys, section.tweets_per_window, section.window_seconds),
        ids=SnowflakeSequence(machine, clock),
        clock=clock,
    )


@asynccontextmanager
async def open_service(settings: WriteSettings) -> AsyncIterator[WriteService]:
    """Opens the clients and closes them again. Any server may be away: writes that need it then answer 503.

    Raises:
        NoMachineNumberError: more workers on this host than machine numbers.
    """
    timeout = settings.writes.redis_timeout_ms / 1000
    section = settings.writes
    machine = claim_machine(settings.home / "machines", section.first_machine, section.machines)
    redis = open_async_client(settings.redis, timeout_s=timeout, wait_s=timeout)
    try:
        await functions.load_async(redis)
    except (RedisError, OSError) as error:
        logger.warning("The timeline store's functions could not be loaded: %s", error)
    publisher = KafkaPublisher(settings.kafka, settings.namespace)
    engine = open_engine(settings.records, settings.namespace)
    clock = lambda: time.time_ns() // 1_000_000  # noqa: E731
    try:
        yield build_service(settings, publisher, redis, engine, machine.number, clock)
    finally:
        await engine.dispose()
        with contextlib.suppress(LogUnavailableError):
            await asyncio.to_thread(publisher.close)
        await redis.aclose()
        machine.release()
