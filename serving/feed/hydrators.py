"""Lookups that complete candidates: bodies before filtering, the rest only for the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from serving.feed.filters import has_muted_word
from serving.feed.query import Candidate, FeedQuery
from serving.reads import Reads, nameless
from serving.shapes import TweetCounts, TweetViewer, User
from timelines.bodies import TweetBody

RETWEETERS_SHOWN = 5


class BodyReads(Protocol):
    async def bodies(self, tweet_ids: Sequence[int]) -> Sequence[TweetBody | None]:
        """One per id; None where there is none."""
        ...


class AccountReads(Protocol):
    async def users(self, reader: int, user_ids: Sequence[int]) -> dict[int, User]:
        """The accounts that are known, as ``reader`` sees them."""
        ...


@dataclass(frozen=True)
class Restrictions:
    """Whom and which words the reader keeps out."""

    reads: Reads
    required: bool = True
    name: str = "restrictions"

    async def hydrate(self, query: FeedQuery) -> FeedQuery:
        hidden, words = await self.reads.restrictions(query.reader)
        return dataclasses.replace(query, hidden=hidden, muted_words=words)


class BodyRead(NamedTuple):
    """``read`` is False where there was no need to look."""

    read: bool
    body: TweetBody | None


@dataclass(frozen=True)
class Bodies:
    """Bodies of all candidates."""

    reads: BodyReads
    required: bool = True
    name: str = "bodies"

    async def hydrate(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[BodyRead]:
        found = await self.reads.bodies([c.original_id for c in candidates])
        return [BodyRead(True, body) for body in found]

    def apply(self, candidate: Candidate, patch: BodyRead) -> Candidate:
        return msgspec.structs.replace(candidate, body=patch.body, body_read=patch.read)


@dataclass(frozen=True)
class Marks:
    """Whether a tweet or one of the accounts behind its appearance is marked; without an answer none is."""

    reads: Reads
    required: bool = False
    name: str = "marks"

    async def hydrate(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[bool]:
        tweets = {c.original_id for c in candidates}
        accounts = {account for c in candidates for account in (c.author, c.original_author)}
        marked_tweets, marked_accounts = await self.reads.marked(tweets, accounts)
        return [
            c.original_id in marked_tweets or not marked_accounts.isdisjoint((c.author, c.original_author))
            for c in candidates
        ]

    def apply(self, candidate: Candidate, patch: bool) -> Candidate:
        return msgspec.structs.replace(candidate, marked=True) if patch else candidate


@dataclass(frozen=True)
class BodiesForPage:
    """Bodies from the front, until the page and one more are known to be visible."""

    reads: Reads
    required: bool = True
    name: str = "bodies_for_page"

    async def hydrate(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[BodyRead]:
        read: list[BodyRead] = []
        visible = 0
        while visible <= query.limit and len(read) < len(candidates):
            block = candidates[len(read) : len(read) + query.limit + 1]
            found = await self.reads.bodies([c.original_id for c in block])
            read.extend(BodyRead(True, body) for body in found)
            visible += sum(
                body is not None and not body.deleted and not has_muted_word(query, body) for body in found
            )
        return [*read, *(BodyRead(False, None) for _ in range(len(candidates) - len(read)))]

    def apply(self, candidate: Candidate, patch: BodyRead) -> Candidate:
        if not patch.read:
            return candidate
        return msgspec.structs.replace(candidate, body=patch.body, body_read=True)


class Cast(NamedTuple):
    """The author and the newest retweeters of a tweet."""

    author: User
    retweeted_by: tuple[User, ...]


@dataclass(frozen=True)
class People:
    """Cards of authors and retweeters, each account looked up once."""

    reads: AccountReads
    required: bool = True
    name: str = "people"

    async def hydrate(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[Cast]:
        wanted = [u for c in candidates for u in (c.original_author, *c.retweeters[:RETWEETERS_SHOWN])]
        users = await self.reads.users(query.reader, wanted)
        return [
            Cast(
                users.get(c.original_author) or nameless(c.original_author),
                tuple(users.get(u) or nameless(u) for u in c.retweeters[:RETWEETERS_SHOWN]),
            )
            for c in candidates
        ]

    def apply(self, candidate: Candidate, patch: Cast) -> Candidate:
        return msgspec.structs.replace(candidate, author_user=patch.author, retweeted_by=patch.retweeted_by)


@dataclass(frozen=True)
class Counts:
    """Likes, retweets, replies and quotes; without them a page is shown with zeros."""

    reads: Reads
    required: bool = False
    name: str = "counts"

    async def hydrate(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[TweetCounts]:
        return await self.reads.tweet_counts([c.original_id for c in candidates])

    def apply(self, candidate: Candidate, patch: TweetCounts) -> Candidate:
        return msgspec.structs.replace(candidate, counts=patch)


@dataclass(frozen=True)
class Viewer:
    """Whether the reader liked and retweeted."""

    reads: Reads
    required: bool = False
    name: str = "viewer"

    async def hydrate(self, query: FeedQuery, candidates: Sequence[Candidate]) -> Sequence[TweetViewer]:
        return await self.reads.tweet_viewers(query.reader, [c.original_id for c in candidates])

    def apply(self, candidate: Candidate, patch: TweetViewer) -> Candidate:
        return msgspec.structs.replace(candidate, viewer=patch)
