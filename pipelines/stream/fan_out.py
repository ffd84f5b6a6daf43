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
    AuthorHidden,
    BlockChanged,
    FollowChanged,
    LikeChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.stored import retweet_row, tweet_row
from pipelines.stream.authors import Authors, Edge
from pipelines.stream.deliveries import Deliveries, Pairs
from pipelines.stream.tiers import FanOutTiers
from timelines import entry
from timelines.entry import ENTRY_BYTES, Entries

EVENT_ID_BYTES = 255

Row = tuple[int, int, int, int, int]


def unfit(event: AnyEvent) -> str | None:
    """Why an event cannot be stored although it is well formed, or None."""
    if len(event.event_id) > EVENT_ID_BYTES:
        return f"event_id is longer than {EVENT_ID_BYTES} characters"
    fits = True
    match event:
        case TweetCreated() | TweetDeleted() | LikeChanged():
            fits = 0 <= event.author_id < entry.AUTHOR_LIMIT and 0 < event.tweet_id < entry.ID_LIMIT
        case RetweetChanged():
            fits = 0 <= event.user_id < entry.AUTHOR_LIMIT and 0 <= event.author_id < entry.AUTHOR_LIMIT
            fits = fits and 0 < event.retweet_id < entry.ID_LIMIT and 0 < event.tweet_id < entry.ID_LIMIT
        case FollowChanged():
            fits = 0 <= event.follower_id < entry.AUTHOR_LIMIT and 0 <= event.followee_id < entry.AUTHOR_LIMIT
        case MuteChanged():
            fits = 0 <= event.user_id < entry.AUTHOR_LIMIT and 0 <= event.muted_id < entry.AUTHOR_LIMIT
        case BlockChanged():
            fits = 0 <= event.user_id < entry.AUTHOR_LIMIT and 0 <= event.blocked_id < entry.AUTHOR_LIMIT
        case AuthorHidden():
            fits = 0 <= event.user_id < entry.AUTHOR_LIMIT and 0 <= event.author_id < entry.AUTHOR_LIMIT
        case AccountRegistered() | MutedWordsChanged():
            fits = 0 <= event.user_id < entry.AUTHOR_LIMIT
    if fits:
        return None
    return f"user ids are 0 to 2^{entry.AUTHOR_BITS} - 1, tweet ids 1 to {entry.ID_LIMIT - 1}"


@dataclass(frozen=True)
class FanOut:
    """What a batch changes, in the order in which it has to be written.

    First ``edges`` (follower -> {followee: (ts in ms, active)}), then ``ties`` (follower, followee, ts in ms:
    unfollows that win over a follow of the same ts by their event ids), ``entries`` (to their authors'
    outboxes) and ``pulled`` (authors from now on merged at read), then ``deliveries``. What goes to the
    followers of an author by and by: ``throttled`` are new entries, ``returning`` the newest entries of one
    pulled no longer.
    """

    edges: dict[int, dict[int, tuple[int, bool]]]
    ties: list[tuple[int, int, int]]
    entries: Entries
    pulled: list[int]
    deliveries: Deliveries
    throttled: dict[int, Entries]
    returning: dict[int, Entries]


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


def fan_out(
    events: Iterable[AnyEvent],
    authors: Authors,
    tiers: FanOutTiers,
    length: int,
    recheck: Iterable[int] = (),
    *,
    to_authors: bool = True,
) -> FanOut:
    """Apply a batch of events to the authors' state and say what has to be written.

    ``to_authors`` says that an entry goes to its author's own timeline too.

    A pulled author's entries go to the author alone; the others' to their followers too, at once or
    throttled. ``recheck`` are authors whose tier may have changed without an event of theirs. A deletion does
    nothing here: a deleted tweet keeps its place and its tombstone hides it at read. A retweet taken back is
    sent again, withdrawn.
    """
    batch = _collect(events)
    entries = entry.entries(batch.rows) if batch.rows else entry.empty()
    packed = entry.pack(entries)
    pairs = Pairs(entries)
    if to_authors:
        pairs.add(np.arange(len(entries)), entries["author"])
    edges: dict[int, dict[int, tuple[int, bool]]] = {}
    ties: list[tuple[int, int, int]] = []
    changed: dict[int, list[int]] = {}
    crossed: list[int] = []
    throttled: dict[int, Entries] = {}
    returning: dict[int, Entries] = {}
    recheck = tuple(recheck)
    for author_id in {*batch.follows, *batch.own, *recheck}:
        author = authors.get(author_id)
        gained: list[int] = []
        if follows := batch.follows.get(author_id):
            changes = author.edges_of(event.follower_id for event in follows)
            before = {follower for follower, edge in changes if edge.active}
            won = [event for event in follows if author.change_edge(event.follower_id, Edge.of(event))]
            touched = dict.fromkeys(event.follower_id for event in won)
            changed[author_id] = list(touched)
            for follower in touched:
                edge = author.edges[follower]
                edges.setdefault(follower, {})[author_id] = (edge.ts, edge.active)
                if edge.active and follower not in before:
                    gained.append(follower)
            changes += [(event.follower_id, Edge.of(event)) for event in follows]
            for follower in {follower for follower, edge in changes if author.unfollows_at(follower, edge)}:
                ties.append((follower, author_id, author.edges[follower].ts))
        was_pulled = author.pulled
        tier = author.cross(tiers)
        if author.pulled != was_pulled:
            crossed.append(author_id)
            if author.returning:
                returning[author_id] = author.newest_entries(length)
        if gained and not author.pulled and author.recents:
            known = author.newest_entries(length)
            pairs.cross(pairs.add_entries(known), np.array(gained, dtype=np.int64))
        if positions := batch.own.get(author_id):
            if author.active and tier == "push":
                pairs.cross(np.array(positions), author.followers())
            elif author.active and tier == "throttle":
                throttled[author_id] = entries[positions]
            for at in positions:
                author.remember(packed[at * ENTRY_BYTES : (at + 1) * ENTRY_BYTES], length)
    authors.save(changed, batch.own, {*crossed, *recheck})
    pulled = [author_id for author_id in crossed if author_id not in returning]
    return FanOut(edges, ties, entries, pulled, pairs.deliveries(batch.readers), throttled, returning)


def without_followers(events: Iterable[AnyEvent]) -> FanOut:
    """What has to be written for authors whose followers are known elsewhere: all but what goes to these.

    Who knows the edges settles their ties.
    """
    batch = _collect(events)
    entries = entry.entries(batch.rows) if batch.rows else entry.empty()
    pairs = Pairs(entries)
    pairs.add(np.arange(len(entries)), entries["author"])
    edges: dict[int, dict[int, tuple[int, bool]]] = {}
    for author_id, follows in batch.follows.items():
        for event in follows:
            of_follower = edges.setdefault(event.follower_id, {})
            change = (event.ts, event.active)
            of_follower[author_id] = max(change, of_follower.get(author_id, change))
    return FanOut(edges, [], entries, [], pairs.deliveries(batch.readers), {}, {})
