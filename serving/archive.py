"""The records as the ranking service reads them: bounded in time, and in the shapes of the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from records.appearances import Appearances
from records.connections import UNAVAILABLE
from records.lists import Lists, StoredTweet
from timelines.bodies import TweetBody, tombstone

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class ArchiveUnavailableError(RuntimeError):
    """PostgreSQL did not answer in time."""


@dataclass(frozen=True)
class Archive:
    """``seconds`` bounds each question."""

    appearances: Appearances
    lists: Lists
    seconds: float

    @classmethod
    def of(cls, engine: AsyncEngine, seconds: float) -> Archive:
        return cls(Appearances(engine), Lists(engine), seconds)

    async def ask(self, question: Awaitable[Answer]) -> Answer:
        """The answer of one of the readers.

        Raises:
            ArchiveUnavailableError: there is none in time.
        """
        try:
            async with asyncio.timeout(self.seconds):
                return await question
        except UNAVAILABLE as error:  # a TimeoutError is an OSError
            raise ArchiveUnavailableError(str(error) or "It took too long.") from error

    async def bodies(self, tweet_ids: Sequence[int]) -> dict[int, TweetBody]:
        """The bodies and tombstones that are there; none at all where the records do not answer."""
        try:
            found = await self.ask(self.lists.tweets(tweet_ids))
        except ArchiveUnavailableError as error:
            logger.warning("Bodies that the store lacks could not be looked up: %s", error)
            return {}
        return {tweet_id: _body(stored) for tweet_id, stored in found.items()}


def _body(stored: StoredTweet) -> TweetBody:
    if stored.deleted:
        return tombstone(stored.tweet_id, stored.author_id)
    return TweetBody(
        tweet_id=stored.tweet_id,
        author_id=stored.author_id,
        text=stored.text,
        created_at=stored.created_at,
        lang=stored.lang,
        place=stored.place,
        visibility=stored.visibility,
        in_reply_to=stored.in_reply_to,
        quote_of=stored.quote_of,
        hashtags=stored.hashtags,
        mentions=stored.mentions,
        media=stored.media,
    )
