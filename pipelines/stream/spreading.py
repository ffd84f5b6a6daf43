"""Large authors, whose followers are spread over all shards: who they are, and what the shards are told.

Up to a number of followers the edges of an author lie in the author's shard, which serves them. From then on,
for ever, each shard keeps a share of the followers and does for it what fan-out does for an author: it joins
follows with entries, has a tier and a backlog, and marks the author as pulled for the sake of its share.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ingestion.events import (
    AnyEvent,
    AuthorTierChanged,
    FanOutChanged,
    FollowChanged,
    RetweetChanged,
    Tier,
    TweetCreated,
    encode,
)
from pipelines.stream.authors import Author, Authors, ListedTable, decode_edges, encode_edge
from pipelines.stream.backlog import Backlog
from pipelines.stream.tiers import FanOutTiers
from timelines.entry import unpack


class Handover(msgspec.Struct, frozen=True, array_like=True):
    """What a share begins with: ``edges`` of its followers, the newest entries, those that not all have got.

    ``pulled``: the store has the share's mark.
    """

    author: int
    edges: bytes
    recents: bytes
    waiting: bytes
    pulled: bool
    override: Tier | None


class ToShare(msgspec.Struct, array_like=True):
    """Encoded events and handovers for one shard, no author in both; thresholds where they may be news."""

    events: list[bytes] = []
    handovers: list[Handover] = []
    tiers: FanOutTiers | None = None


def encode_message(message: ToShare) -> bytes:
    return msgspec.msgpack.encode(message)


decode_message = msgspec.msgpack.Decoder(ToShare).decode


class SpreadAuthors:
    """The spread authors of one shard; ``table`` keeps them, with nothing beside their ids."""

    def __init__(self, table: ListedTable, shards: int) -> None:
        self._table = table
        self._shards = shards
        self._ids = {author_id for author_id, _ in table.items()}

    def __contains__(self, author_id: int) -> bool:
        return author_id in self._ids

    def divide(self, events: list[AnyEvent]) -> tuple[list[AnyEvent], list[AnyEvent]]:
        """The events to be joined here, and those of spread authors; each in order."""
        if not self._ids:
            return events, []
        ours: list[AnyEvent] = []
        theirs: list[AnyEvent] = []
        for event in events:
            (theirs if _author(event) in self._ids else ours).append(event)
        return ours, theirs

    def messages(
        self,
        ours: list[AnyEvent],
        theirs: list[AnyEvent],
        authors: Authors,
        backlog: Backlog,
        tiers: FanOutTiers,
        spread_above: int,
    ) -> list[ToShare]:
        """What the shards are told after ``ours`` were joined here: a follow goes to the follower's shard,
        what else there is of ``theirs`` to every one; authors who got too large are handed over. There are
        no messages where there is nothing to tell, else one for each shard.

        Before these are sent, mark all shares of the handovers that are pulled in the store.
        """
        followed = dict.fromkeys(event.followee_id for event in ours if isinstance(event, FollowChanged))
        grown = [author_id for author_id in followed if authors.get(author_id).active >= spread_above]
        news = bool(grown) or any(isinstance(event, FanOutChanged) for event in ours)
        if not theirs and not news:
            return []
        messages = [ToShare(tiers=tiers if news else None) for _ in range(self._shards)]
        for event in theirs:
            encoded = encode(event)
            if isinstance(event, FollowChanged):
                messages[event.follower_id % self._shards].events.append(encoded)
                continue
            for message in messages:
                message.events.append(encoded)
        for author_id in grown:
            for message, part in zip(messages, self._spread(author_id, authors, backlog), strict=True):
                message.handovers.append(part)
        return messages

    def _spread(self, author_id: int, authors: Authors, backlog: Backlog) -> list[Handover]:
        waiting = backlog.waiting(author_id)
        backlog.discard(author_id)
        author = authors.release(author_id)
        edges = [bytearray() for _ in range(self._shards)]
        for follower, edge in author.edges.items():
            edges[follower % self._shards] += encode_edge(follower, edge)
        self._ids.add(author_id)
        self._table[author_id] = b""
        pulled, recents = author.pulled or author.returning, bytes(author.recents)
        return [Handover(author_id, bytes(part), recents, waiting, pulled, author.override) for part in edges]


def pulled_in(messages: Sequence[ToShare]) -> list[int]:
    """The authors handed over while merged at read."""
    return [given.author for message in messages[:1] for given in message.handovers if given.pulled]


def take_over(
    handovers: Sequence[Handover], authors: Authors, backlog: Backlog, length: int, now_ms: int
) -> list[int]:
    """Begin the shares of these authors; answers the authors, whose tiers have to be looked at."""
    for given in handovers:
        share = Author(recents=bytearray(given.recents), pulled=given.pulled, override=given.override)
        for follower, edge in decode_edges(given.edges):
            share.change_edge(follower, edge)
        authors.adopt(given.author, share, length)
        if given.waiting:
            backlog.add(given.author, unpack(given.waiting), now_ms)
    return [given.author for given in handovers]


def _author(event: AnyEvent) -> int | None:
    """The author whose followers an event concerns."""
    match event:
        case FollowChanged():
            return event.followee_id
        case TweetCreated() | AuthorTierChanged():
            return event.author_id
        case RetweetChanged():
            return event.user_id
    return None
