"""Tweets and retweets of many authors by their ids, newest first: what a timeline is made of.

"The newest before X of these authors" goes through the partitions from the newest on. In each, every author's
few newest come from an index on (author, id), a lateral top-k; only an author of whom all of these belong to
the answer is asked for more. So what is read grows with the number of authors and the length of the answer,
not with how much they or others wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records import partitions
from records.tables import retweets, tweets

EVERYTHING = (1 << 63) - 1
FIRST_LOOK = 4
"""Rows asked of each author at first."""

NEWEST = """
    SELECT found.appearance_id, found.author, found.original_id, found.original_author
    FROM unnest(%(authors)s::bigint[]) AS wanted (author) CROSS JOIN LATERAL (
        (SELECT tweet_id AS appearance_id, author_id AS author, tweet_id AS original_id,
                author_id AS original_author
         FROM tweets WHERE author_id = wanted.author AND tweet_id >= %(first)s AND tweet_id < %(below)s
            AND NOT deleted
         ORDER BY tweet_id DESC LIMIT %(each)s)
        UNION ALL
        (SELECT retweet_id, user_id, tweet_id, author_id
         FROM retweets WHERE user_id = wanted.author AND retweet_id >= %(first)s AND retweet_id < %(below)s
            AND active
         ORDER BY retweet_id DESC LIMIT %(each)s)
    ) AS found
    ORDER BY found.appearance_id DESC"""
"""Answers up to ``each`` tweets and ``each`` retweets per author within [first, below) of one partition."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """A tweet, or a retweet of one, under its own id; ``author`` made it appear."""

    appearance_id: int
    author: int
    original_id: int
    original_author: int

    @property
    def is_retweet(self) -> bool:
        return self.appearance_id != self.original_id


@dataclass(frozen=True)
class Appearances:
    """Reads; all methods raise what :func:`records.connections.is_unavailable` tells apart."""

    engine: AsyncEngine

    async def newest(self, authors: Sequence[int], below: int, limit: int) -> list[Appearance]:
        """The newest ``limit`` standing tweets and retweets of ``authors`` with ids less than ``below``."""
        found: list[Appearance] = []
        if not authors or limit < 1:
            return found
        async with self.engine.connect() as connection:
            for number in await _partitions(connection):
                first, end = partitions.bounds(number)
                if first >= below:
                    continue
                span = (first, min(below, end))
                found += await _newest_of_partition(connection, authors, span, limit - len(found))
                if len(found) >= limit:
                    break
        return found

    async def retweeters(
        self, originals: Sequence[int], users: Sequence[int], top: int
    ) -> dict[int, list[tuple[int, int]]]:
        """Who of ``users`` retweeted each original, newest first: (retweet id of at most ``top``, user)."""
        query = """
            SELECT tweet_id, retweet_id, user_id FROM retweets
            WHERE tweet_id = ANY(%(originals)s) AND user_id = ANY(%(users)s) AND active
                AND retweet_id >= %(first)s AND retweet_id <= %(top)s
            ORDER BY retweet_id DESC"""
        found: dict[int, list[tuple[int, int]]] = {}
        if not originals or not users:
            return found
        arguments = {
            "originals": list(originals),
            "users": list(users),
            "first": min(originals),
            "top": min(top, EVERYTHING),
        }
        async with self.engine.connect() as connection:
            rows: Iterable[Any] = await connection.exec_driver_sql(query, arguments)
            for tweet_id, retweet_id, user in rows:
                found.setdefault(tweet_id, []).append((retweet_id, user))
        return found


async def _newest_of_partition(
    connection: AsyncConnection, authors: Sequence[int], span: tuple[int, int], limit: int
) -> list[Appearance]:
    """The newest ``limit`` of one partition."""
    each = min(limit, max(FIRST_LOOK, 2 * limit // len(authors)))
    asked, answer = list(authors), dict[int, list[Appearance]]()
    while True:
        arguments: dict[str, Any] = {"authors": asked, "first": span[0], "below": span[1], "each": each}
        for author in asked:
            answer.pop(author, None)
        rows: Iterable[Any] = await connection.exec_driver_sql(NEWEST, arguments)
        for row in rows:
            answer.setdefault(row.author, []).append(Appearance(*row))
        newest = sorted(
            (appearance for written in answer.values() for appearance in written),
            key=lambda appearance: -appearance.appearance_id,
        )[:limit]
        # Whose every row is among the newest may have written more of them.
        last = newest[-1].appearance_id if len(newest) == limit else 0
        asked = [author for author in asked if _may_have_more(answer.get(author, ()), last, each)]
        if not asked or each >= limit:
            return newest
        each = min(limit, each * 4)


def _may_have_more(rows: Sequence[Appearance], last: int, each: int) -> bool:
    """Whether tweets or retweets left out of an author's rows may be newer than ``last``."""
    for retweeted in (False, True):
        kind = [row.appearance_id for row in rows if row.is_retweet is retweeted]
        if len(kind) >= each and min(kind) > last:
            return True
    return False


async def _partitions(connection: AsyncConnection) -> list[int]:
    """The numbers of the partitions that exist, newest first."""
    found = await connection.exec_driver_sql(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent IN (%(tweets)s::regclass, %(retweets)s::regclass)",
        {"tweets": tweets.name, "retweets": retweets.name},
    )
    return sorted({partitions.number_of(row.relname) for row in found}, reverse=True)
