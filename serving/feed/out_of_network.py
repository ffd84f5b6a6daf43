"""Candidates of accounts that the reader does not follow: what those one follows like, and what many engage
with now. A reader who follows nobody gets a feed of these.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.cache import Cache
from serving.feed.candidates import POPULAR, TRENDING, TWO_HOP, Candidates, objects
from serving.feed.query import FeedQuery
from serving.reads import Reads
from timelines.bodies import TweetBody

WORLD = "world"
EVERYBODY = "everybody"
"""The one key under which what is the same for all readers is cached."""


@dataclass(frozen=True)
class TwoHop:
    """What some of the reader's followees like now, most liked first, with who does.

    A reader follows up to thousands: ``asked`` of them, others each hour, are asked for their newest likes.
    """

    reads: Reads = field(repr=False)
    asked: int = 50
    likes_each: int = 10
    candidates: int = 60
    name: str = "two_hop"

    async def fetch(self, query: FeedQuery) -> Candidates:
        followees = query.followees.tolist()
        chance = random.Random(f"{query.reader}:{query.now_ms // 3_600_000}")  # noqa: S311
        heard = [followee for followee in followees if followee not in query.hidden]
        asked = chance.sample(heard, min(self.asked, len(heard)))
        liked = await self.reads.newest_likes(asked, self.likes_each)
        by_tweet = likers(asked, liked)
        best = most_liked(by_tweet)[: self.candidates]
        bodies = await self.reads.bodies(best) if best else []
        followed = {*followees, query.reader}
        found = [body for body in bodies if body is not None and body.author_id not in followed]
        return table(found, TWO_HOP, liked_by=[tuple(by_tweet[body.tweet_id]) for body in found])


@dataclass(frozen=True)
class Popular:
    """What many engage with now, of everybody, most popular first; ``tweets`` is the same for all readers."""

    tweets: Cache[str, Sequence[TweetBody]] = field(repr=False)
    candidates: int = 60
    name: str = "popular"

    async def fetch(self, query: FeedQuery) -> Candidates:
        found = (await self.tweets.get([EVERYBODY])).get(EVERYBODY, ())
        followed = {*query.followees.tolist(), query.reader}
        strangers = [body for body in found if body.author_id not in followed]
        return table(strangers[: self.candidates], POPULAR)


@dataclass(frozen=True)
class Trending:
    """Of what many engage with now, what carries a term that trends at the reader's place."""

    reads: Reads = field(repr=False)
    tweets: Cache[str, Sequence[TweetBody]] = field(repr=False)
    terms: Cache[str, frozenset[str]] = field(repr=False)
    candidates: int = 30
    name: str = "trending"

    async def fetch(self, query: FeedQuery) -> Candidates:
        found = (await self.tweets.get([EVERYBODY])).get(EVERYBODY, ())
        if not found:
            return Candidates.none()
        place = await self.reads.place_of(query.reader) or WORLD
        by_place = await self.terms.get([place, WORLD])
        terms = by_place.get(place) or by_place.get(WORLD, frozenset())
        followed = {*query.followees.tolist(), query.reader}
        trending = [
            body
            for body in found
            if body.author_id not in followed and any(tag.casefold() in terms for tag in body.hashtags)
        ]
        return table(trending[: self.candidates], TRENDING)


def likers(users: Sequence[int], liked: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    """Who of ``users`` likes each tweet, where ``liked`` are the tweets that each of them does."""
    by_tweet: dict[int, list[int]] = {}
    for user, tweets in zip(users, liked, strict=True):
        for tweet in tweets:
            by_tweet.setdefault(tweet, []).append(user)
    return by_tweet


def most_liked(by_tweet: Mapping[int, Sequence[int]]) -> list[int]:
    """The tweets of ``likers``: most liked first, of as many likes the newest."""
    return sorted(by_tweet, key=lambda tweet: (len(by_tweet[tweet]), tweet), reverse=True)


def table(
    bodies: Sequence[TweetBody], source: int, liked_by: Sequence[tuple[int, ...]] | None = None
) -> Candidates:
    """Candidates of originals whose bodies are at hand."""
    tweets = np.array([body.tweet_id for body in bodies], dtype=np.int64)
    authors = np.array([body.author_id for body in bodies], dtype=np.int64)
    known: dict[str, NDArray[Any]] = {
        "created_at": np.array([body.created_at for body in bodies], dtype=np.int64)
    }
    if liked_by is not None:
        known["liked_by"] = objects(liked_by)
    return Candidates.of(
        tweets, authors, tweets, authors, np.zeros(len(tweets), dtype=np.bool_), source, **known
    )
