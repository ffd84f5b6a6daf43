"""The follow graph at a row's moment: a follow counts once it was made, until it is taken back.

Edges that stand at all moments asked about are counted at once, each of the others for its span.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from features.ranking_log import NEVER, Follows
from features.running import Floats, Ints, Running, pair_keys


def followees(follows: Follows, accounts: Ints, times: Ints) -> Floats:
    """How many accounts each of ``accounts`` follows at the moment, float64 [n]."""
    lasting, passing = _split(follows, times)
    passed = _standing(passing.follower, passing.since, passing.until, accounts, times)
    return _number(accounts, lasting.follower) + passed


def followers(follows: Follows, accounts: Ints, times: Ints) -> Floats:
    """How many accounts follow each of ``accounts`` at the moment, float64 [n]."""
    lasting, passing = _split(follows, times)
    passed = _standing(passing.followee, passing.since, passing.until, accounts, times)
    return _number(accounts, lasting.followee) + passed


def follows_back(follows: Follows, users: Ints, authors: Ints, times: Ints) -> Floats:
    """1 where the author follows the reader at the moment, else 0; float64 [n]."""
    lasting, passing = _split(follows, times)
    asked = pair_keys(authors, users)
    edges = pair_keys(passing.follower, passing.followee)
    always = np.isin(asked, pair_keys(lasting.follower, lasting.followee))
    passed = _standing(edges, passing.since, passing.until, asked, times)
    return np.asarray(always | (passed > 0), dtype=np.float64)


def shared_followees(follows: Follows, users: Ints, authors: Ints, times: Ints) -> Floats:
    """Per pair how many accounts that the reader follows follow the author, at the moment; float64 [n]."""
    lasting, passing = _split(follows, times)
    found = _paths(lasting, users, authors)
    asked = pair_keys(users, authors)
    # A path stands while both of its edges do; one of them at least is passing.
    for first, second in ((passing, follows), (lasting, passing)):
        first = first.where(np.isin(first.follower, users))
        second = second.where(np.isin(second.followee, authors))
        first = first.where(np.argsort(first.followee, kind="stable"))
        left, right = joined(first.followee, second.follower)
        keys = pair_keys(first.follower[left], second.followee[right])
        since = np.maximum(first.since[left], second.since[right])
        until = np.minimum(first.until[left], second.until[right])
        kept = np.isin(keys, asked) & (since < until)
        found += _standing(keys[kept], since[kept], until[kept], asked, times)
    return found


def joined(sorted_keys: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """Places (in ``sorted_keys``, in ``keys``) of all pairs of equal keys."""
    start, end = (np.searchsorted(sorted_keys, keys, side) for side in ("left", "right"))
    count = end - start
    right = np.repeat(np.arange(len(keys)), count)
    left = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    return left, right


def _split(follows: Follows, times: Ints) -> tuple[Follows, Follows]:
    """The edges that stand at each of the moments, and those that stand at some of them only."""
    first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    seen = follows.where((follows.since < last) & (follows.until >= first))
    lasting = (seen.since < first) & (seen.until >= last)
    return seen.where(lasting), seen.where(~lasting)


def _standing(keys: Ints, since: Ints, until: Ints, asked: Ints, times: Ints) -> Floats:
    """How many of a key's spans hold at the moment: those begun before it and not ended before it."""
    ends = until < NEVER
    # What began long ago has begun before all moments: times of one length keep the folds' numbers small.
    begun = np.maximum(since, times.min(initial=NEVER) - 1)
    counts = Running(keys, begun).count(asked, times) - Running(keys[ends], until[ends]).count(asked, times)
    return np.nan_to_num(counts)


def _number(accounts: Ints, ends: Ints) -> Floats:
    """How many edges end (or begin) at each account."""
    found, counts = np.unique(ends, return_counts=True)
    if not len(found):
        return np.zeros(len(accounts))
    place = np.minimum(np.searchsorted(found, accounts), len(found) - 1)
    return np.where(found[place] == accounts, counts[place], 0).astype(np.float64)


def _paths(follows: Follows, users: Ints, authors: Ints) -> Floats:
    """Per pair how many paths of two edges there are from the user to the author."""
    if not len(follows.follower):
        return np.zeros(len(users))
    size = int(max(follows.follower.max(), follows.followee.max(), users.max(), authors.max())) + 1
    ones = np.ones(len(follows.follower), dtype=np.float32)
    graph = csr_matrix((ones, (follows.follower, follows.followee)), shape=(size, size))
    readers, row = np.unique(users, return_inverse=True)
    found, column = np.unique(authors, return_inverse=True)
    paths = graph[readers] @ graph[:, found]
    return np.asarray(paths[row, column], dtype=np.float64).ravel()
