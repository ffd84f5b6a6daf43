"""Lookups that complete candidates: bodies before filtering, the rest only for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np

from serving.accounts import nameless
from serving.feed.candidates import Candidates, Objects, objects
from serving.feed.filters import has_muted_word
from serving.feed.query import FeedQuery
from serving.pipeline.stages import Columns
from serving.reads import Reads
from serving.shapes import TweetCounts, User
from timelines.bodies import TweetBody

RETWEETERS_SHOWN = 5
LIKERS_SHOWN = 1


class BodyReads(Protocol):
    async def bodies(self, tweet_ids: Sequence[int]) -> Sequence[TweetBody | None]:
        """One per id; None where there is none."""
        ...


class AccountReads(Protocol):
    async def users(self, reader: int, user_ids: Sequence[int]) -> dict[int, User]:
        """The accounts that are known, as ``reader`` sees them."""
        ...


class CountReads(Protocol):
    async def tweet_counts(self, tweet_ids: Sequence[int]) -> list[TweetCounts]:
        """One per id; zeros where nothing is known."""
        ...


@dataclass(frozen=True)
class Restrictions:
    """Whom and which words the reader keeps out."""

    reads: Reads
    required: bool = True
    name: str = "restrictions"

    async def hydrate(self, query: FeedQuery) -> Mapping[str, Any]:
        hidden, words = await self.reads.restrictions(query.reader)
        return {"hidden": hidden, "muted_words": words}


@dataclass(frozen=True)
class Lately:
    """What the reader has seen and was given, whom the reader hid, and the reader's interests; a page can do
    without.
    """

    reads: Reads
    required: bool = False
    name: str = "lately"

    async def hydrate(self, query: FeedQuery) -> Mapping[str, Any]:
        seen, served, hides, interests = await self.reads.lately(query.reader, query.now_ms)
        return {"seen": seen, "served": served, "hides": hides, "interests": interests}


@dataclass(frozen=True)
class Bodies:
    """Bodies of all candidates."""

    reads: BodyReads
    required: bool = True
    name: str = "bodies"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        return _body_columns(await self.reads.bodies(candidates.original.tolist()), len(candidates))


@dataclass(frozen=True)
class BodiesForPage:
    """Bodies from the front, until the page and one more are known to be visible."""

    reads: Reads
    required: bool = True
    name: str = "bodies_for_page"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        originals = candidates.original.tolist()
        read: list[TweetBody | None] = []
        visible = 0
        while visible <= query.limit and len(read) < len(originals):
            found = await self.reads.bodies(originals[len(read) : len(read) + query.limit + 1])
            read.extend(found)
            visible += sum(
                body is not None and not body.deleted and not has_muted_word(query, body) for body in found
            )
        return _body_columns(read, len(candidates))


@dataclass(frozen=True)
class Marks:
    """Whether a tweet or one of the accounts behind its appearance is marked; without an answer none is."""

    reads: Reads
    required: bool = False
    name: str = "marks"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        authors = np.concatenate((candidates.author, candidates.original_author))
        tweets, accounts = await self.reads.marked(candidates.original.tolist(), np.unique(authors).tolist())
        marked = np.zeros(len(candidates), dtype=np.bool_)
        if tweets:
            marked |= np.isin(candidates.original, list(tweets))
        if accounts:
            named = list(accounts)
            marked |= np.isin(candidates.author, named) | np.isin(candidates.original_author, named)
        return {"marked": marked}


@dataclass(frozen=True)
class People:
    """Cards of authors, of the newest retweeters and of one who likes it, each looked up once."""

    reads: AccountReads
    required: bool = True
    name: str = "people"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        authors = candidates.original_author.tolist()
        retweeters = _shown(candidates.retweeters, RETWEETERS_SHOWN, query)
        likers = _shown(candidates.liked_by, LIKERS_SHOWN, query)
        wanted = [*authors, *chain.from_iterable(retweeters), *chain.from_iterable(likers)]
        users = await self.reads.users(query.reader, wanted)
        return {
            "author_user": objects(users.get(author) or nameless(author) for author in authors),
            "retweeted_by": _named(retweeters, users),
            "liked_by_users": _named(likers, users),
        }


@dataclass(frozen=True)
class Counts:
    """Likes, retweets, replies and quotes; without them a page is shown with zeros."""

    reads: CountReads
    required: bool = False
    name: str = "counts"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        return {"counts": objects(await self.reads.tweet_counts(candidates.original.tolist()))}


@dataclass(frozen=True)
class Viewer:
    """Whether the reader liked and retweeted."""

    reads: Reads
    required: bool = False
    name: str = "viewer"

    async def hydrate(self, query: FeedQuery, candidates: Candidates) -> Columns:
        found = await self.reads.tweet_viewers(query.reader, candidates.original.tolist())
        return {"viewer": objects(found)}


def _shown(people: Objects, most: int, query: FeedQuery) -> list[list[int]]:
    """The first of each row whom the reader does not keep out now."""
    return [[user for user in some if user not in query.hidden][:most] for some in people]


def _named(people: Sequence[Sequence[int]], users: Mapping[int, User]) -> Objects:
    return objects(tuple(users.get(user) or nameless(user) for user in some) for some in people)


def _body_columns(read: Sequence[TweetBody | None], candidates: int) -> Columns:
    """Of the bodies that were read, from the front."""
    body = np.full(candidates, None)
    body[: len(read)] = objects(read)
    created_at = np.full(candidates, -1, dtype=np.int64)
    created_at[: len(read)] = [-1 if found is None else found.created_at for found in read]
    return {"body": body, "body_read": np.arange(candidates) < len(read), "created_at": created_at}
