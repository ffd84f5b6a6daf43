"""The records as the ranking service reads them: bounded in time, and in the shapes of the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from ingestion.stored import body_of_record
from records.appearances import Appearances
from records.connections import UNAVAILABLE, is_unavailable
from records.lists import Lists, StoredAccount
from serving.breaker import Breaker, BreakerObserver, BreakerOpenError
from serving.settings import BreakerSection
from serving.shapes import User, rfc3339
from timelines.bodies import TweetBody

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class ArchiveUnavailableError(RuntimeError):
    """PostgreSQL did not answer in time."""


class ArchiveBreakerOpenError(BreakerOpenError, ArchiveUnavailableError):
    """PostgreSQL is given a pause."""


@dataclass(frozen=True)
class Archive:
    """``seconds`` bounds the wait for one of the ``turns``, and the question then; every question passes the
    breaker, which learns nothing of those who waited in vain: PostgreSQL was not asked.
    """

    appearances: Appearances
    lists: Lists
    seconds: float
    breaker: Breaker
    turns: asyncio.Semaphore

    @classmethod
    def of(
        cls,
        engine: AsyncEngine,
        connections: int,
        seconds: float,
        section: BreakerSection,
        observer: BreakerObserver | None = None,
    ) -> Archive:
        breaker = Breaker("records", section, is_unavailable, ArchiveBreakerOpenError, observer)
        return cls(Appearances(engine), Lists(engine), seconds, breaker, asyncio.Semaphore(connections))

    async def ask(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer of one of the readers.

        Raises:
            ArchiveUnavailableError: there is none in time, or the breaker is open.
        """
        try:
            async with asyncio.timeout(self.seconds):
                await self.turns.acquire()
            try:
                return await self.breaker.call(self._in_time, question)
            finally:
                self.turns.release()
        except UNAVAILABLE as error:  # a TimeoutError is an OSError
            raise ArchiveUnavailableError(str(error) or "It took too long.") from error
        finally:
            question.close()  # of one that was never asked

    async def _in_time(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        async with asyncio.timeout(self.seconds):
            return await question

    async def problem(self) -> str | None:
        """Why nothing could be read now, None where it could."""
        try:
            await self.ask(self.lists.tweets([0]))
        except ArchiveUnavailableError as error:
            return str(error).splitlines()[0]
        return None

    async def bodies(self, tweet_ids: Sequence[int]) -> dict[int, TweetBody]:
        """The bodies and tombstones that are there; none at all where the records do not answer."""
        try:
            found = await self.ask(self.lists.tweets(tweet_ids))
        except ArchiveUnavailableError as error:
            logger.warning("Bodies that the store lacks could not be looked up: %s", error)
            return {}
        return {tweet_id: body_of_record(stored) for tweet_id, stored in found.items()}


@dataclass(frozen=True)
class ArchiveReads:
    """What pages show of tweets and accounts where the store does not answer: without counts.

    ``followees`` are those of the reader.
    """

    archive: Archive
    followees: frozenset[int]

    async def bodies(self, tweet_ids: Sequence[int]) -> list[TweetBody | None]:
        """One per id; None where there is none.

        Raises:
            ArchiveUnavailableError: the records do not answer.
        """
        found = await self.archive.ask(self.archive.lists.tweets(tweet_ids))
        return [body_of_record(found[tweet_id]) if tweet_id in found else None for tweet_id in tweet_ids]

    async def users(self, reader: int, user_ids: Sequence[int]) -> dict[int, User]:
        """The accounts that are there.

        Raises:
            ArchiveUnavailableError: the records do not answer.
        """
        found = await self.archive.ask(self.archive.lists.accounts(list(set(user_ids))))
        return {user: self._user(stored) for user, stored in found.items()}

    def _user(self, stored: StoredAccount) -> User:
        user: User = {
            "id": str(stored.user_id),
            "handle": stored.handle,
            "display_name": stored.display_name,
            "created_at": rfc3339(stored.created_at),
            "counts": {"followers": 0, "following": 0, "tweets": 0},
            "viewer": {
                "follows": stored.user_id in self.followees,
                "followed_by": False,
                "muted": False,
                "blocked": False,
            },
        }
        if stored.place is not None:
            user["place"] = stored.place
        return user
