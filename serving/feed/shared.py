"""What is the same for many readers, kept in this process: see ``serving.cache``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from serving.cache import Ages, Cache, Outcome
from serving.feed.out_of_network import EVERYBODY
from serving.feed.similar import ByTopic, by_topic
from serving.reads import Reads
from timelines.bodies import TweetBody

POPULAR_TWEETS = 200
WINDOW = "1h"
AGES = Ages(fresh=5.0, stale=120.0)
PLACES = 1000

CountLookups = Callable[[str, Outcome, int], None]
"""Told the cache's name, how the keys were found, and how many."""


@dataclass(frozen=True)
class Shared:
    """``popular``: the tweets that gather most engagement now, and the same ``by_topic``; ``terms``: what
    trends, by place.
    """

    popular: Cache[str, Sequence[TweetBody]]
    by_topic: Cache[str, ByTopic]
    terms: Cache[str, frozenset[str]]


def shared(reads: Reads, seconds: Callable[[], float], count: CountLookups) -> Shared:
    """The caches of one process, empty; ``seconds`` is a clock that only moves on."""

    async def popular(keys: Sequence[str]) -> Mapping[str, Sequence[TweetBody]]:
        return {EVERYBODY: await reads.popular(POPULAR_TWEETS)}

    async def terms(places: Sequence[str]) -> Mapping[str, frozenset[str]]:
        return await reads.trending_terms(places, WINDOW)

    most_popular = Cache(popular, AGES, 1, seconds, partial(count, "popular"))

    async def popular_by_topic(keys: Sequence[str]) -> Mapping[str, ByTopic]:
        return {key: by_topic(tweets) for key, tweets in (await most_popular.get(keys)).items()}

    return Shared(
        most_popular,
        Cache(popular_by_topic, AGES, 1, seconds, partial(count, "popular_by_topic")),
        Cache(terms, AGES, PLACES, seconds, partial(count, "trending_terms")),
    )
