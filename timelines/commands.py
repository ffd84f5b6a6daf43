"""Writes to the timeline store, as commands put on a redis-py pipeline.

Nothing here talks to a server: the same functions serve the synchronous client (stream jobs) and the
asyncio client (serving, the write API). Pipelines are made with ``pipeline(transaction=False)``, and whoever
executes one checks its errors. Everything is idempotent: repeated commands lead to the same answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from timelines import bodies, entry
from timelines.cells import pack_cells
from timelines.durations import DAY_MS
from timelines.edges import edge_score
from timelines.entry import Entries, Ids
from timelines.keys import TAIL, Keyspace
from timelines.settings import TimelineSettings

OPENED_KEPT = 50
KEYS_PER_CALL = 500
"""Timelines written by one function call: bounds how long a call keeps the server busy."""


@dataclass(frozen=True)
class Owned:
    """Packed entries by timeline: ``owners`` int64 [n], each once, by partition; key and cells of each."""

    owners: Ids
    names: list[str]
    blobs: list[bytes]


def by_owner(keys: Keyspace, kind: str, ending: str, owners: Ids, entries: Entries) -> Owned:
    """``entries[i]`` goes to the timeline of ``owners[i]``; each timeline's entries ascend by id.

    Raises:
        EntryError: as many owners as entries are needed.
    """
    owners = np.asarray(owners, dtype=np.int64)
    if len(owners) != len(entries):
        raise entry.EntryError(f"{len(owners)} timeline owners do not match {len(entries)} entries.")
    if not len(owners):
        return Owned(owners, [], [])
    order = _grouped(owners, entries["appearance"], keys.partitions)
    owners = owners[order]
    blob, places = pack_cells(entries[order])
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    unique = owners[starts]
    edges = places[np.r_[starts, len(owners)]].tolist()
    names = keys.keys(kind, unique.tolist(), ending)
    return Owned(unique, names, [blob[edges[i] : edges[i + 1]] for i in range(len(names))])


def _append(
    pipe: Any,
    keys: Keyspace,
    settings: TimelineSettings,
    function: str,
    kind: str,
    ending: str,
    owners: Ids,
    entries: Entries,
) -> int:
    return _call(pipe, keys, settings, function, by_owner(keys, kind, ending, owners, entries))


def _call(pipe: Any, keys: Keyspace, settings: TimelineSettings, function: str, owned: Owned) -> int:
    """One call per partition and ``KEYS_PER_CALL`` timelines; answers how many."""
    if not len(owned.owners):
        return 0
    partitions = owned.owners % keys.partitions
    changes = np.flatnonzero(partitions[1:] != partitions[:-1]) + 1
    bounds = [0, *changes.tolist(), len(partitions)]
    calls = 0
    for low, high in pairwise(bounds):
        for start in range(low, high, KEYS_PER_CALL):
            part = slice(start, min(start + KEYS_PER_CALL, high))
            names = owned.names[part]
            pipe.fcall(function, len(names), *names, settings.length, settings.slack, *owned.blobs[part])
            calls += 1
    return calls


def _grouped(owners: Ids, appearances: Ids, partitions: int) -> npt.NDArray[np.intp]:
    """The order by partition, then owner, then id: one stable sort where the ids ascend already."""
    place = owners % partitions * (int(owners.max()) // partitions + 1) + owners // partitions
    ascending = bool((appearances[1:] >= appearances[:-1]).all())
    order: npt.NDArray[np.intp] = (
        np.argsort(place, kind="stable") if ascending else np.lexsort((appearances, place))
    )
    return order


def deliver(pipe: Any, keys: Keyspace, settings: TimelineSettings, readers: Ids, entries: Entries) -> int:
    """Push ``entries[i]`` to the home timeline of ``readers[i]``, where that timeline exists.

    Args:
        readers: int64 [n].
        entries: ENTRY_DTYPE [n]; write each to its author's outbox before.

    Returns:
        The number of calls put on the pipeline (one per partition and 500 readers).
    """
    return _append(pipe, keys, settings, "deliver", "home", TAIL, readers, entries)


def look_over(pipe: Any, keys: Keyspace, settings: TimelineSettings, readers: Ids) -> int:
    """Take away the tails of these readers, int64 [n], that belong to no timeline, and settle those that are
    due; returns the number of calls. For who appends to tails without the function ``deliver``.
    """
    readers = readers[np.argsort(readers % keys.partitions, kind="stable")]
    nothing = [b""] * len(readers)
    return _call(
        pipe, keys, settings, "deliver", Owned(readers, keys.keys("home", readers.tolist(), TAIL), nothing)
    )


def append_outbox(pipe: Any, keys: Keyspace, settings: TimelineSettings, entries: Entries) -> int:
    """Append entries, ENTRY_DTYPE [n], to their authors' outboxes; returns the number of calls.

    When one of them is withdrawn, what processes keep of merged outboxes is of no use any more.
    """
    calls = _append(pipe, keys, settings, "append_outbox", "outbox", "", entries["author"], entries)
    if ((entries["flags"] & entry.WITHDRAWN) != 0).any():
        pipe.incr(keys.withdrawals())
        calls += 1
    return calls


def activate(pipe: Any, keys: Keyspace, settings: TimelineSettings, readers: Iterable[int]) -> int:
    """Give each reader an empty complete home timeline, once ever: later calls do nothing.

    It comes before the first delivery to the reader: what is delivered before is not kept.
    Returns the number of calls.
    """
    by_partition: dict[int, list[int]] = {}
    for reader in sorted(set(readers)):
        by_partition.setdefault(keys.partition(reader), []).append(reader)
    for partition, members in by_partition.items():
        names = [keys.activated(partition)]
        for reader in members:
            names += (keys.home(reader), keys.home_tail(reader))
        pipe.fcall("activate", len(names), *names, expiry_ms(settings), *members)
    return len(by_partition)


def drop_home(pipe: Any, keys: Keyspace, reader: int) -> None:
    """Forget a home timeline: the next read rebuilds it, and a rebuild under way comes to nothing."""
    for key in (keys.home(reader), keys.home_tail(reader), keys.rebuild_lease(reader)):
        pipe.delete(key)


def mark_pulled(pipe: Any, keys: Keyspace, authors: Sequence[int]) -> None:
    """Have these authors' outboxes merged at read from now on."""
    if authors:
        pipe.sadd(keys.pulled(), *authors)
        pipe.set(keys.pulled_stamp(), uuid.uuid4().hex)


def unmark_pulled(pipe: Any, keys: Keyspace, authors: Sequence[int]) -> None:
    """Read these authors from home timelines again; deliver what their outboxes hold before."""
    if authors:
        pipe.srem(keys.pulled(), *authors)
        pipe.set(keys.pulled_stamp(), uuid.uuid4().hex)


def mark_pulled_shares(pipe: Any, keys: Keyspace, authors: Sequence[int], shares: Iterable[int]) -> None:
    """Have these authors' outboxes merged at read for the sake of these shares of their followers."""
    members = [f"{author}:{share}" for share in shares for author in authors]
    if members:
        pipe.sadd(keys.pulled_shares(), *members)
        mark_pulled(pipe, keys, authors)


def unmark_pulled_share(pipe: Any, keys: Keyspace, authors: Sequence[int], share: int, shares: int) -> None:
    """As :func:`unmark_pulled` for one share of so many: the mark goes with the last of them."""
    if authors:
        names = (keys.pulled(), keys.pulled_shares(), keys.pulled_stamp())
        pipe.fcall("unmark_pulled_share", 3, *names, uuid.uuid4().hex, share, shares, *authors)


def note_beginning(pipe: Any, keys: Keyspace) -> None:
    """Record that the store is filled from the beginning of the log on: what it lacks is not there at all."""
    pipe.set(keys.begun(), b"1")


def set_followee(pipe: Any, keys: Keyspace, follower: int, followee: int, ts_ms: int, active: bool) -> None:
    """Record that ``follower`` follows ``followee`` (or no longer) as of ``ts_ms``."""
    pipe.zadd(keys.followees(follower), {str(followee): edge_score(ts_ms, active)}, gt=True)


def settle_tie(pipe: Any, keys: Keyspace, follower: int, followee: int, ts_ms: int) -> None:
    """End the follow of ``ts_ms`` for an unfollow of the same millisecond that comes after it by event id.

    Such an unfollow scores less, so :func:`set_followee` leaves it out. An edge of another time stays.
    """
    scores = edge_score(ts_ms, True), edge_score(ts_ms, False)
    pipe.fcall("replace_score", 1, keys.followees(follower), followee, *scores)


def set_muted(pipe: Any, keys: Keyspace, user: int, muted: int, ts_ms: int, active: bool) -> None:
    """Record that ``user`` mutes ``muted`` (or no longer) as of ``ts_ms``."""
    pipe.zadd(keys.muted(user), {str(muted): edge_score(ts_ms, active)}, gt=True)


def set_blocked(pipe: Any, keys: Keyspace, user: int, blocked: int, ts_ms: int, active: bool) -> None:
    """Record for both of them that ``user`` blocks ``blocked`` (or no longer) as of ``ts_ms``."""
    score = edge_score(ts_ms, active)
    pipe.zadd(keys.blocked(user), {str(blocked): score}, gt=True)
    pipe.zadd(keys.blocked_by(blocked), {str(user): score}, gt=True)


def set_hidden_author(pipe: Any, keys: Keyspace, user: int, author: int, ts_ms: int) -> None:
    """Record that ``user`` hid or reported a tweet of ``author`` at ``ts_ms``; the newest time stays."""
    pipe.zadd(keys.hidden_authors(user), {str(author): ts_ms}, gt=True)


def put_muted_words(pipe: Any, keys: Keyspace, user: int, words: Sequence[str], version: int) -> None:
    """Store the words a reader mutes unless a higher version is there (version: event time in ms)."""
    _put_versioned(pipe, keys.muted_words(user), bodies.encode_words(words, version))


def set_like(pipe: Any, keys: Keyspace, user: int, tweet_id: int, ts_ms: int, active: bool) -> None:
    """Record that ``user`` likes the tweet (or no longer) as of ``ts_ms``."""
    pipe.zadd(keys.likes(user), {str(tweet_id): edge_score(ts_ms, active)}, gt=True)


def set_retweet(pipe: Any, keys: Keyspace, user: int, tweet_id: int, ts_ms: int, active: bool) -> None:
    """Record that ``user`` retweeted the original (or no longer) as of ``ts_ms``."""
    pipe.zadd(keys.retweets(user), {str(tweet_id): edge_score(ts_ms, active)}, gt=True)


def set_opened(pipe: Any, keys: Keyspace, user: int, tweets: Mapping[int, int]) -> None:
    """Record when (ms) ``user`` opened tweets; of all of them the ``OPENED_KEPT`` newest stay."""
    key = keys.opened(user)
    scores = {str(tweet): edge_score(ts_ms, True) for tweet, ts_ms in tweets.items()}
    pipe.zadd(key, scores, gt=True)
    pipe.zremrangebyrank(key, 0, -OPENED_KEPT - 1)


def put_body(pipe: Any, keys: Keyspace, body: bodies.TweetBody) -> None:
    """Store a body once; a tombstone always overwrites and is never overwritten."""
    pipe.set(keys.tweet(body.tweet_id), bodies.encode_body(body), nx=not body.deleted)


def put_card(pipe: Any, keys: Keyspace, card: bodies.AccountCard, version: int) -> None:
    """Store an author card unless a higher version is there (version: event time in ms)."""
    _put_versioned(pipe, keys.account(card.user_id), bodies.encode_card(card, version))


def set_tweet_counts(
    pipe: Any, keys: Keyspace, tweet_id: int, counts: bodies.TweetCounts, version: int
) -> None:
    """Store a tweet's absolute counts unless a higher version is there."""
    _put_versioned(pipe, keys.counts(tweet_id), bodies.encode_tweet_counts(counts, version))


def set_account_counts(
    pipe: Any, keys: Keyspace, user: int, counts: bodies.AccountCounts, version: int
) -> None:
    """Store an account's absolute counts unless a higher version is there."""
    _put_versioned(pipe, keys.account_counts(user), bodies.encode_account_counts(counts, version))


def put_versioned(pipe: Any, keys: Keyspace, kind: str, owners: Ids, values: Sequence[bytes]) -> None:
    """Store many values of one kind, such as packed counts (``bodies.pack_tweet_counts``): what begins with a
    lower version than is there is left. Many keys of a partition go in one call.
    """
    names = keys.keys(kind, owners.tolist())
    partitions = owners % keys.partitions
    for partition in np.unique(partitions).tolist():
        places = np.flatnonzero(partitions == partition).tolist()
        for start in range(0, len(places), KEYS_PER_CALL):
            part = places[start : start + KEYS_PER_CALL]
            pipe.fcall(
                "put_versioned", len(part), *map(names.__getitem__, part), *map(values.__getitem__, part)
            )


def put_trends(pipe: Any, keys: Keyspace, place: str, window: str, trends: bodies.TrendList) -> None:
    """Store a place's trend list unless one with a later ``as_of`` is there."""
    _put_versioned(pipe, keys.trends(place, window), bodies.encode_trends(trends))


def _put_versioned(pipe: Any, key: str, value: bytes) -> None:
    pipe.fcall("put_versioned", 1, key, value)


def expiry_ms(settings: TimelineSettings) -> int:
    """How long a home timeline outlives its last read."""
    return settings.expire_days * DAY_MS
