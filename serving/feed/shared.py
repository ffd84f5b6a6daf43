"""What is the same for many readers, kept in this process: see ``serving.cache``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from serving.accounts import Account, seen_by
from serving.cache import Ages, Cache, Outcome
from serving.feed.out_of_network import EVERYBODY
from serving.feed.similar import ByTopic, by_topic
from serving.reads import Reads
from serving.shapes import TweetCounts, User
from timelines.bodies import TweetBody

POPULAR_TWEETS = 200
WINDOW = "1h"
AGES = Ages(fresh=5.0, stale=120.0)
PLACES = 1000
ACCOUNT_AGES = Ages(fresh=10.0, stale=120.0)
ACCOUNTS = 50_000
# Counts reach the store half a second after what they count.
COUNT_AGES = Ages(fresh=1.0, stale=3.0)
COUNTS = 100_000

CountLookups = Callable[[str, Outcome, int], None]
"""Told the cache's name, how the keys were found, and how many."""


@dataclass(frozen=True)
class Shared:
    """``popular``: the tweets that gather most engagement now, and the same ``by_topic``; ``terms``: what
    trends, by place.

    Bodies are in no cache but these of what is popular: a deleted tweet is to be gone with the next read.
    """

    popular: Cache[str, Sequence[TweetBody]]
    by_topic: Cache[str, ByTopic]
    terms: Cache[str, frozenset[str]]
    accounts: Cache[int, Account]
    counts: Cache[int, TweetCounts]


def shared(reads: Reads, seconds: Callable[[], float], count: CountLookups) -> Shared:
    """The caches of one process, empty; ``seconds`` is a clock that only moves on."""

    async def popular(keys: Sequence[str]) -> Mapping[str, Sequence[TweetBody]]:
        return {EVERYBODY: await reads.popular(POPULAR_TWEETS)}

    async def terms(places: Sequence[str]) -> Mapping[str, frozenset[str]]:
        return await reads.trending_terms(places, WINDOW)

    most_popular = Cache(popular, AGES, 1, seconds, partial(count, "popular"))

    async def popular_by_topic(keys: Sequence[str]) -> Mapping[str, ByTopic]:
        return {key: by_topic(tweets) for key, tweets in (await most_popular.get(keys)).items()}

    async def counts(tweets: Sequence[int]) -> Mapping[int, TweetCounts]:
        return dict(zip(tweets, await reads.tweet_counts(tweets), strict=True))

    return Shared(
        most_popular,
        Cache(popular_by_topic, AGES, 1, seconds, partial(count, "popular_by_topic")),
        Cache(terms, AGES, PLACES, seconds, partial(count, "trending_terms")),
        Cache(reads.accounts, ACCOUNT_AGES, ACCOUNTS, seconds, partial(count, "accounts")),
        Cache(counts, COUNT_AGES, COUNTS, seconds, partial(count, "counts")),
    )


@dataclass(frozen=True)
class SharedReads:
    """What a page shows beside its bodies: what is the same for all readers by way of the caches."""

    reads: Reads
    shared: Shared

    async def users(self, reader: int, user_ids: Sequence[int]) -> dict[int, User]:
        """The accounts with a card, as ``reader`` sees them."""
        ids = list(dict.fromkeys(user_ids))
        accounts, viewers = await asyncio.gather(
            self.shared.accounts.get(ids), self.reads.viewers(reader, ids)
        )
        return seen_by(accounts, viewers)

    async def tweet_counts(self, tweet_ids: Sequence[int]) -> list[TweetCounts]:
        found = await self.shared.counts.get(tweet_ids)
        return [found[tweet_id] for tweet_id in tweet_ids]
