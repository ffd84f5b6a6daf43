"""Reads of what is shown with a tweet: bodies, counts, author cards, and how the reader stands to them.

Each method is one round trip (``serving.batch``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.accounts import Account, Accounts, Viewers, nameless, seen_by
from serving.archive import Archive
from serving.batch import Batch, readable
from serving.shapes import Trends, Tweet, TweetCounts, TweetViewer, User, UserViewer, rfc3339
from timelines import bodies, interests, marks, popular
from timelines.bodies import TweetBody
from timelines.edges import stands
from timelines.interests import Interests
from timelines.keys import Keyspace
from timelines.lately import SEEN, SERVED, Records, decode, queue


@dataclass(frozen=True)
class Reads:
    """Over an asyncio redis-py client that does not decode. All methods raise redis-py's ``RedisError``."""

    redis: Any = field(repr=False)
    keys: Keyspace
    archive: Archive | None = None

    async def bodies(self, tweet_ids: Sequence[int]) -> list[bodies.TweetBody | None]:
        """One per id; None where no body has arrived; tombstones as they are.

        What the store lacks, or has in a form that cannot be read, is looked up in the records.
        """
        batch = Batch(self.redis, self.keys)
        values = batch.values("tweet", tweet_ids)
        found = [readable(bodies.decode_body, stored) for stored in values.of(await batch.execute())]
        missing = [tweet_id for tweet_id, body in zip(tweet_ids, found, strict=True) if body is None]
        if self.archive is None or not missing:
            return found
        stored = await self.archive.bodies(missing)
        return [body or stored.get(tweet_id) for tweet_id, body in zip(tweet_ids, found, strict=True)]

    async def tweet_counts(self, tweet_ids: Sequence[int]) -> list[TweetCounts]:
        batch = Batch(self.redis, self.keys)
        values = batch.values("counts", tweet_ids)
        return [_tweet_counts(stored) for stored in values.of(await batch.execute())]

    async def tweet_viewers(self, reader: int, tweet_ids: Sequence[int]) -> list[TweetViewer]:
        """Whether the reader likes and retweeted each."""
        if not tweet_ids:
            return []
        pipe = self.redis.pipeline(transaction=False)
        pipe.zmscore(self.keys.likes(reader), tweet_ids)
        pipe.zmscore(self.keys.retweets(reader), tweet_ids)
        likes, retweets = await pipe.execute()
        return [
            {"liked": stands(like), "retweeted": stands(retweet)}
            for like, retweet in zip(likes, retweets, strict=True)
        ]

    async def newest_likes(self, users: Sequence[int], each: int) -> list[list[int]]:
        """Of each user the tweets among the ``each`` newest changes that the user likes, newest first."""
        if not users:
            return []
        pipe = self.redis.pipeline(transaction=False)
        for user in users:
            pipe.zrange(self.keys.likes(user), -each, -1, withscores=True)
        answers = await pipe.execute()
        return [[int(tweet) for tweet, score in reversed(found) if stands(score)] for found in answers]

    async def popular(self, count: int) -> list[TweetBody]:
        """The tweets that gather most engagement now, the most popular first."""
        pipe = self.redis.pipeline(transaction=False)
        popular.queue(pipe, self.keys, count)
        ids = popular.decode((await pipe.execute())[0])
        found = await self.bodies(ids.tolist()) if len(ids) else []
        return [body for body in found if body is not None and not body.deleted]

    async def place_of(self, user: int) -> str | None:
        """Where the user says to be; None where that is not known."""
        card = readable(bodies.decode_card, await self.redis.get(self.keys.account(user)))
        return None if card is None else card.place

    async def trending_terms(self, places: Sequence[str], window: str) -> dict[str, frozenset[str]]:
        """The terms of each place that has a list, in lower case and without the hash."""
        pipe = self.redis.pipeline(transaction=False)
        for place in places:
            pipe.get(self.keys.trends(place, window))
        lists = {
            place: readable(bodies.decode_trends, stored)
            for place, stored in zip(places, await pipe.execute(), strict=True)
        }
        return {
            place: frozenset(trend.term.removeprefix("#").casefold() for trend in found.items)
            for place, found in lists.items()
            if found is not None
        }

    async def marked(self, tweet_ids: Iterable[int], account_ids: Iterable[int]) -> tuple[set[int], set[int]]:
        """Which of these tweets and accounts are limited or quarantined."""
        asked = {"tweet": sorted(tweet_ids), "account": sorted(account_ids)}
        if not all(asked.values()):
            return set(), set()
        pipe = self.redis.pipeline(transaction=False)
        marks.queue_severities(pipe, self.keys, asked)
        tweets, accounts = (
            {member for member, severity in zip(ids, marks.severities(scores), strict=True) if severity}
            for ids, scores in zip(asked.values(), await pipe.execute(), strict=True)
        )
        return tweets, accounts

    async def restrictions(self, reader: int) -> tuple[frozenset[int], tuple[str, ...]]:
        """The accounts a reader mutes, blocks or is blocked by, and the words the reader mutes."""
        pipe = self.redis.pipeline(transaction=False)
        for key in (self.keys.muted(reader), self.keys.blocked(reader), self.keys.blocked_by(reader)):
            pipe.zrange(key, 0, -1, withscores=True)
        pipe.get(self.keys.muted_words(reader))
        *sets, words = await pipe.execute()
        return _members(sets), readable(bodies.decode_words, words) or ()

    async def blocked(self, reader: int) -> frozenset[int]:
        """The accounts that a reader blocks or is blocked by."""
        pipe = self.redis.pipeline(transaction=False)
        for key in (self.keys.blocked(reader), self.keys.blocked_by(reader)):
            pipe.zrange(key, 0, -1, withscores=True)
        return _members(await pipe.execute())

    async def hidden_authors(self, reader: int) -> dict[int, int]:
        """When the reader last hid or reported a tweet of each such author: author to ts in ms."""
        members = await self.redis.zrange(self.keys.hidden_authors(reader), 0, -1, withscores=True)
        return {int(author): int(ts) for author, ts in members}

    async def lately(self, reader: int, now_ms: int) -> tuple[Records, Records, dict[int, int], Interests]:
        """What a reader has seen and was served lately, whom the reader hid, when (ts in ms), and what the
        reader is interested in.
        """
        pipe = self.redis.pipeline(transaction=False)
        for kind in (SEEN, SERVED):
            queue(pipe, self.keys, kind, reader, now_ms)
        pipe.zrange(self.keys.hidden_authors(reader), 0, -1, withscores=True)
        interests.queue(pipe, self.keys, reader)
        answers = await pipe.execute()
        *strings, members = answers[:5]
        hides = {int(author): int(ts) for author, ts in members}
        return decode(SEEN, strings[:2]), decode(SERVED, strings[2:]), hides, interests.decode(answers[5:])

    async def users(self, reader: int, user_ids: Sequence[int]) -> dict[int, User]:
        """The accounts with a card, as ``reader`` sees them."""
        ids = list(dict.fromkeys(user_ids))
        if not ids:
            return {}
        batch = Batch(self.redis, self.keys)
        viewers, accounts = Viewers.queue(batch, reader, ids), Accounts.queue(batch, ids)
        answers = await batch.execute()
        return seen_by(accounts.of(answers), viewers.of(answers))

    async def accounts(self, user_ids: Sequence[int]) -> dict[int, Account]:
        """The accounts with a card, as everybody sees them."""
        batch = Batch(self.redis, self.keys)
        accounts = Accounts.queue(batch, user_ids)
        return accounts.of(await batch.execute())

    async def viewers(self, reader: int, user_ids: Sequence[int]) -> dict[int, UserViewer]:
        """How ``reader`` stands to each account."""
        if not user_ids:
            return {}
        batch = Batch(self.redis, self.keys)
        viewers = Viewers.queue(batch, reader, user_ids)
        return viewers.of(await batch.execute())

    async def tweet(self, reader: int, tweet_id: int) -> Tweet | None:
        """The tweet as ``reader`` sees it; None where there is none, or none for this reader."""
        body = (await self.bodies([tweet_id]))[0]
        if body is None or body.deleted:
            return None
        if stands(await self.redis.zscore(self.keys.blocked_by(reader), body.author_id)):
            return None
        users = await self.users(reader, [body.author_id])
        author = users.get(body.author_id) or nameless(body.author_id)
        if body.visibility == "followers" and reader != body.author_id and not author["viewer"]["follows"]:
            return None
        counts = (await self.tweet_counts([tweet_id]))[0]
        viewer = (await self.tweet_viewers(reader, [tweet_id]))[0]
        return tweet_shape(body, author, counts, viewer, ())

    async def trends(self, place: str, window: str, limit: int) -> Trends:
        """An empty list where the place has none."""
        found = readable(bodies.decode_trends, await self.redis.get(self.keys.trends(place, window)))
        if found is None:
            return {"as_of": None, "place": place, "items": []}
        return {
            "as_of": rfc3339(found.as_of),
            "place": place,
            "items": [
                {
                    "term": trend.term,
                    "rank": trend.rank,
                    "count": trend.count,
                    "authors": trend.authors,
                    "score": trend.score,
                    "since": rfc3339(trend.since),
                }
                for trend in found.items[:limit]
            ],
        }

    async def some_readers(self, count: int) -> list[User]:
        """Of a random sample of the readers with a home timeline, those who follow most."""
        pipe = self.redis.pipeline(transaction=False)
        for partition in range(self.keys.partitions):
            pipe.srandmember(self.keys.activated(partition), count)
        members = [int(member) for answer in await pipe.execute() for member in answer]
        users = (await self.users(0, members)).values()
        return sorted(users, key=lambda u: (-u["counts"]["following"], u["id"]))[:count]


def tweet_shape(
    body: bodies.TweetBody,
    author: User,
    counts: TweetCounts,
    viewer: TweetViewer,
    retweeted_by: Sequence[User],
) -> Tweet:
    """The tweet as JSON; what is not known is left out."""
    shape: Tweet = {
        "id": str(body.tweet_id),
        "author": author,
        "text": body.text,
        "created_at": rfc3339(body.created_at),
        "lang": body.lang,
        "visibility": body.visibility,
        "hashtags": list(body.hashtags),
        "mentions": [str(user) for user in body.mentions],
        "media": list(body.media),
        "counts": counts,
        "viewer": viewer,
    }
    if body.place is not None:
        shape["place"] = body.place
    if body.in_reply_to is not None:
        shape["in_reply_to"] = str(body.in_reply_to)
    if body.quote_of is not None:
        shape["quote_of"] = str(body.quote_of)
    if retweeted_by:
        shape["retweeted_by"] = list(retweeted_by)
    return shape


def _members(sets: Sequence[Sequence[tuple[bytes, float]]]) -> frozenset[int]:
    return frozenset(int(member) for members in sets for member, score in members if stands(score))


def _tweet_counts(stored: bytes | None) -> TweetCounts:
    counts = readable(bodies.decode_tweet_counts, stored) or bodies.TweetCounts()
    return {
        "likes": counts.likes,
        "retweets": counts.retweets,
        "replies": counts.replies,
        "quotes": counts.quotes,
    }
