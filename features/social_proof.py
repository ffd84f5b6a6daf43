"""Who among those a reader follows acted on an author or follows them, for the pairs that were candidates."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from features.ranking_log import Acts, Follows
from features.running import Floats, Ints, Running, pair_keys


def followee_acts(acts: Acts, follows: Follows, users: Ints, authors: Ints) -> Running:
    """Acts by followees of a reader on an author, by the key (reader, author), for the pairs given."""
    pairs = np.unique(pair_keys(users, authors))
    edges = np.isin(follows.follower, users)
    order = np.argsort(follows.followee[edges], kind="stable")
    followee, reader = follows.followee[edges][order], follows.follower[edges][order]
    kept = np.isin(acts.author, authors)
    actor, author, time = acts.user[kept], acts.author[kept], acts.time[kept]
    start, end = (np.searchsorted(followee, actor, side) for side in ("left", "right"))
    count = end - start
    act = np.repeat(np.arange(len(actor)), count)
    edge = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    keys = pair_keys(reader[edge], author[act])
    wanted = np.isin(keys, pairs)
    return Running(keys[wanted], time[act[wanted]])


def shared_followees(follows: Follows, users: Ints, authors: Ints) -> Floats:
    """Per pair how many accounts the reader follows that follow the author, float64 [n]."""
    size = int(max(follows.follower.max(), follows.followee.max(), users.max(), authors.max())) + 1
    ones = np.ones(len(follows.follower), dtype=np.float32)
    graph = csr_matrix((ones, (follows.follower, follows.followee)), shape=(size, size))
    readers, row = np.unique(users, return_inverse=True)
    found, column = np.unique(authors, return_inverse=True)
    paths = graph[readers] @ graph[:, found]
    return np.asarray(paths[row, column], dtype=np.float64).ravel()


def follows_back(follows: Follows, users: Ints, authors: Ints) -> Floats:
    """1 where the author follows the reader, else 0."""
    edges = pair_keys(follows.follower, follows.followee)
    return np.isin(pair_keys(authors, users), edges).astype(np.float64)


def degree(accounts: Ints, ends: Ints) -> Floats:
    """How many edges end (or begin) at each account."""
    found, counts = np.unique(ends, return_counts=True)
    place = np.minimum(np.searchsorted(found, accounts), max(len(found) - 1, 0))
    return np.where(found[place] == accounts, counts[place], 0).astype(np.float64)
