"""Fan-out on write, without the engine: a batch of events joined with what is known of their authors.

Tweets and follows are joined symmetrically - a new entry goes to everyone who follows, a new follower gets
everything there is - so any order of arrival delivers the same pairs. Repeats change nothing: entries
are told apart by their appearance id, edges by (ts, event id).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ingestion.events import (
    AccountRegistered,
    AnyEvent,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.stored import retweet_row, tweet_row
from pipelines.stream.authors import Authors, Edge
from pipelines.stream.deliveries import Deliveries, Pairs
from timelines import entry
from timelines.entry import ENTRY_BYTES, Entries

USER_LIMIT = 1 << entry.AUTHOR_BITS
ID_LIMIT = 1 << 63
EVENT_ID_BYTES = 255

Row = tuple[int, int, int, int, int]


def unfit(event: AnyEvent) -> str | None:
    """Why an event cannot be stored although it is well formed, or None."""
    if len(event.event_id) > EVENT_ID_BYTES:
        return f"event_id is longer than {EVENT_ID_BYTES} characters"
    fits = True
    match event:
        case TweetCreated() | TweetDeleted() | LikeChanged():
            fits = 0 <= event.author_id < USER_LIMIT and 0 < event.tweet_id < ID_LIMIT
        case RetweetChanged():
            fits = 0 <= event.user_id < USER_LIMIT and 0 <= event.author_id < USER_LIMIT
            fits = fits and 0 < event.retweet_id < ID_LIMIT and 0 < event.tweet_id < ID_LIMIT
        case FollowChanged():
            fits = 0 <= event.follower_id < USER_LIMIT and 0 <= event.followee_id < USER_LIMIT
        case AccountRegistered():
            fits = 0 <= event.user_id < USER_LIMIT
    if fits:
        return None
    return f"user ids are 0 to 2^{entry.AUTHOR_BITS} - 1, tweet ids 1 to 2^63 - 1"


@dataclass(frozen=True)
class FanOut:
    """What a batch changes, in the order in which it has to be written.

    First ``edges`` (follower -> {followee: (ts in ms, active)}), ``entries`` (to their authors' outboxes) and
    ``pulled`` (authors from now on merged at read), then ``deliveries``.
    """

    edges: dict[int, dict[int, tuple[int, bool]]]
    entries: Entries
    pulled: list[int]
    deliveries: Deliveries


@dataclass
class _Batch:
    """The events of a batch by author; ``rows`` are the new entries, ``own`` their positions by author."""

    follows: dict[int, list[FollowChanged]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    own: dict[int, list[int]] = field(default_factory=dict)
    readers: set[int] = field(default_factory=set)

    def add_row(self, row: Row) -> None:
        self.own.setdefault(row[1], []).append(len(self.rows))
        self.rows.append(row)


def _collect(events: Iterable[AnyEvent]) -> _Batch:
    batch = _Batch()
    for event in events:
        match event:
            case FollowChanged():
                batch.follows.setdefault(event.followee_id, []).append(event)
                batch.readers.add(event.follower_id)
            case TweetCreated():
                batch.add_row(tweet_row(event))
            case RetweetChanged():
                batch.add_row(retweet_row(event))
            case AccountRegistered():
                batch.readers.add(event.user_id)
    return batch


def fan_out(events: Iterable[AnyEvent], authors: Authors, push_below: int, length: int) -> FanOut:
    """Apply a batch of events to the authors' state and say what has to be written.

    Authors with ``push_below`` followers or more become pulled, for ever; the others' entries are delivered
    to their followers, and everybody's to themselves. A deletion does nothing here: a deleted tweet keeps its
    place and its tombstone hides it at read. A retweet taken back is sent again, withdrawn.
    """
    batch = _collect(events)
    entries = entry.entries(batch.rows) if batch.rows else entry.empty()
    packed = entry.pack(entries)
    pairs = Pairs(entries)
    pairs.add(np.arange(len(entries)), entries["author"])
    edges: dict[int, dict[int, tuple[int, bool]]] = {}
    changed: dict[int, list[int]] = {}
    pulled: list[int] = []
    for author_id in batch.follows.keys() | batch.own.keys():
        author = authors.get(author_id)
        gained: list[int] = []
        if follows := batch.follows.get(author_id):
            before = {event.follower_id for event in follows if author.is_followed_by(event.follower_id)}
            won = [event for event in follows if author.change_edge(event.follower_id, Edge.of(event))]
            touched = dict.fromkeys(event.follower_id for event in won)
            changed[author_id] = list(touched)
            for follower in touched:
                edge = author.edges[follower]
                edges.setdefault(follower, {})[author_id] = (edge.ts, edge.active)
                if edge.active and follower not in before:
                    gained.append(follower)
            if not author.pulled and author.active >= push_below:
                author.pulled = True
                pulled.append(author_id)
        if gained and not author.pulled and author.recents:
            known = author.newest_entries(length)
            pairs.cross(pairs.add_entries(known), np.array(gained, dtype=np.int64))
        if positions := batch.own.get(author_id):
            if author.active and not author.pulled:
                pairs.cross(np.array(positions), author.followers())
            for at in positions:
                author.remember(packed[at * ENTRY_BYTES : (at + 1) * ENTRY_BYTES], length)
    authors.save(changed, batch.own, pulled)
    return FanOut(edges, entries, pulled, pairs.deliveries(batch.readers))
