"""Pages of tweets and accounts: a user's timeline, the replies to a tweet, followers and followed.

The records hold them all; what the reader has just written is in the reader's outbox first, and is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ingestion.api.problems import ProblemError
from records.appearances import EVERYTHING, Appearance
from records.lists import NEWEST_EDGE, Edge
from serving.accounts import nameless
from serving.archive import Archive, ArchiveUnavailableError
from serving.feed.cursor import CursorError, CursorSigner, ListCursor, ListName
from serving.reads import Reads, tweet_shape
from serving.shapes import Tweet, TweetPage, UserPage
from timelines.bodies import TweetBody
from timelines.entry import REPLY, WITHDRAWN, Entries, empty
from timelines.timeline import decode, newest

ENTRY_COLUMNS = ["appearance", "author", "original", "original_author"]
OWN_REPLIES = 50
"""Of the reader's newest replies, how many are looked through for those that the records lack yet."""


@dataclass(frozen=True)
class ListPages:
    """Answers the list routes; cursors are of one list of one subject, and of the reader."""

    reads: Reads = field(repr=False)
    archive: Archive
    signer: CursorSigner

    async def accounts(
        self, reader: int, name: ListName, user: int, limit: int, cursor: str | None
    ) -> UserPage:
        """Who follows ``user`` ("followers") or whom ``user`` follows ("following"), the newest follow first.

        Raises:
            CursorError: the cursor is not of this list.
            ArchiveUnavailableError: the records do not answer.
        """
        at = self._place(reader, name, user, cursor)
        before = NEWEST_EDGE if at is None else Edge(user=at.second, ts=at.first)
        lists = self.archive.lists
        ask = lists.followers if name == "followers" else lists.following
        edges = await self.archive.ask(ask(user, before, limit + 1))
        users = await self.reads.users(reader, [edge.user for edge in edges[:limit]])
        following = None
        if len(edges) > limit:
            last = edges[limit - 1]
            following = self.signer.write(ListCursor(name, user, last.ts, last.user), reader)
        return {
            "items": [users.get(edge.user) or nameless(edge.user) for edge in edges[:limit]],
            "next_cursor": following,
            "has_more": following is not None,
        }

    async def timeline(self, reader: int, user: int, limit: int, cursor: str | None) -> TweetPage:
        """What ``user`` posted and retweeted, newest first.

        Raises:
            CursorError: the cursor is not of this list.
            ProblemError: 403 where one of the two blocks the other.
            ArchiveUnavailableError: the records do not answer.
        """
        at = self._place(reader, "tweets", user, cursor)
        below = EVERYTHING if at is None else at.first
        if user in await self.reads.blocked(reader):
            raise ProblemError(403, "One of you blocks the other.")
        found = await self._appearances(user, below, limit + 1)
        tweets = await self._shapes(reader, found[:limit])
        following = None
        if len(found) > limit:
            place = ListCursor("tweets", user, found[limit - 1].appearance_id, 0)
            following = self.signer.write(place, reader)
        return {"items": tweets, "next_cursor": following, "has_more": following is not None}

    async def replies(self, reader: int, tweet_id: int, limit: int, cursor: str | None) -> TweetPage:
        """The replies to a tweet, oldest first; those of accounts the reader keeps out are left out.

        Raises:
            CursorError: the cursor is not of this list.
            ArchiveUnavailableError: the records do not answer.
        """
        at = self._place(reader, "replies", tweet_id, cursor)
        after = tweet_id if at is None else at.first
        stored = await self.archive.ask(self.archive.lists.replies(tweet_id, after, limit + 1))
        ids = sorted({*stored, *await self._own_replies(reader, tweet_id, after)})
        following = None
        if len(ids) > limit:
            ids = ids[:limit]
            following = self.signer.write(ListCursor("replies", tweet_id, ids[-1], 0), reader)
        found = await self.reads.bodies(ids)
        written = [
            Appearance(b.tweet_id, b.author_id, b.tweet_id, b.author_id) for b in found if b is not None
        ]
        hidden, _ = await self.reads.restrictions(reader)
        shown = await self._shapes(reader, [reply for reply in written if reply.author not in hidden])
        return {"items": shown, "next_cursor": following, "has_more": following is not None}

    def _place(self, reader: int, name: ListName, subject: int, text: str | None) -> ListCursor | None:
        if text is None:
            return None
        cursor = self.signer.read(text, reader)
        if not isinstance(cursor, ListCursor) or (cursor.name, cursor.subject) != (name, subject):
            raise CursorError
        return cursor

    async def _outbox(self, user: int) -> tuple[Entries, int]:
        """The newest entries that a user made, newest first, and the id from which on none is left out."""
        stored = await self.reads.redis.get(self.reads.keys.outbox(user))
        if stored is None:
            return empty(), EVERYTHING
        box = decode(stored)
        return newest(box.entries), box.floor

    async def _appearances(self, user: int, below: int, count: int) -> list[Appearance]:
        """The outbox where it reaches far enough, else it and the records together."""
        entries, floor = await self._outbox(user)
        withdrawn = set(entries["appearance"][(entries["flags"] & WITHDRAWN) != 0].tolist())
        standing = entries[(entries["appearance"] < below) & ((entries["flags"] & WITHDRAWN) == 0)]
        own = [Appearance(*row) for row in standing[ENTRY_COLUMNS].tolist()]
        if len(own) >= count and own[count - 1].appearance_id > floor:
            return own[:count]
        try:
            stored = await self.archive.ask(self.archive.appearances.newest([user], below, count))
        except ArchiveUnavailableError:
            if not own:
                raise
            return own[:count]
        together = {a.appearance_id: a for a in (*stored, *own) if a.appearance_id not in withdrawn}
        return [together[key] for key in sorted(together, reverse=True)][:count]

    async def _own_replies(self, reader: int, tweet_id: int, after: int) -> list[int]:
        entries, _ = await self._outbox(reader)
        mine = entries[((entries["flags"] & REPLY) != 0) & (entries["appearance"] > after)][:OWN_REPLIES]
        bodies = await self.reads.bodies(np.unique(mine["original"]).tolist())
        return [b.tweet_id for b in bodies if b is not None and b.in_reply_to == tweet_id and not b.deleted]

    async def _shapes(self, reader: int, found: Sequence[Appearance]) -> list[Tweet]:
        """Those of the tweets that stand and that the reader may see."""
        bodies = await self.reads.bodies([a.original_id for a in found])
        pairs = [(a, b) for a, b in zip(found, bodies, strict=True) if b is not None and not b.deleted]
        people = [user for a, _ in pairs for user in (a.author, a.original_author)]
        users = await self.reads.users(reader, people)
        ids = [a.original_id for a, _ in pairs]
        counts = await self.reads.tweet_counts(ids)
        viewers = await self.reads.tweet_viewers(reader, ids)
        shapes: list[Tweet] = []
        for (appearance, body), count, viewer in zip(pairs, counts, viewers, strict=True):
            author = users.get(body.author_id) or nameless(body.author_id)
            if not _may_see(reader, body, author["viewer"]["follows"]):
                continue
            by = users.get(appearance.author) or nameless(appearance.author)
            shapes.append(tweet_shape(body, author, count, viewer, (by,) if appearance.is_retweet else ()))
        return shapes


def _may_see(reader: int, body: TweetBody, follows: bool) -> bool:
    return body.visibility != "followers" or reader == body.author_id or follows
