"""Who among those a reader follows acted on an author or follows them, for the pairs that were candidates."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from features.ranking_log import Acts, Follows
from features.running import Floats, Ints, Running, pair_keys


def followee_acts(acts: Acts, follows: Follows, users: Ints, authors: Ints) -> Running:
    """Acts on an author by followees of a reader, by the key (reader, author), for the pairs given."""
    pairs = np.unique(pair_keys(users, authors))
    edges = np.isin(follows.follower, users)
    order = np.argsort(follows.followee[edges], kind="stable")
    followee, reader = follows.followee[edges][order], follows.follower[edges][order]
    kept = np.isin(acts.author, authors)
    actor, author, time = acts.user[kept], acts.author[kept], acts.time[kept]
    edge, act = _joined(followee, actor)
    keys = pair_keys(reader[edge], author[act])
    wanted = np.isin(keys, pairs)
    return Running(keys[wanted], time[act[wanted]])


def tied_acts(acts: Acts, users: Ints, authors: Ints) -> Running:
    """Acts on an author by those a reader had acted on, by the key (reader, author), for the pairs given.

    Such an act counts from the moment of the later of the two: of the reader's first act on that account, and
    of that account's on the author.
    """
    pairs = np.unique(pair_keys(users, authors))
    own = np.flatnonzero(np.isin(acts.user, users))
    own = own[np.argsort(acts.time[own], kind="stable")]
    _, first = np.unique(pair_keys(acts.user[own], acts.author[own]), return_index=True)
    ties = own[first][np.argsort(acts.author[own[first]], kind="stable")]
    seconds = np.flatnonzero(np.isin(acts.author, authors))
    tie, act = _joined(acts.author[ties], acts.user[seconds])
    tie, act = ties[tie], seconds[act]
    keys = pair_keys(acts.user[tie], acts.author[act])
    wanted = np.isin(keys, pairs)
    return Running(keys[wanted], np.maximum(acts.time[tie], acts.time[act])[wanted])


def _joined(sorted_keys: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """Places (in ``sorted_keys``, in ``keys``) of all pairs of equal keys."""
    start, end = (np.searchsorted(sorted_keys, keys, side) for side in ("left", "right"))
    count = end - start
    right = np.repeat(np.arange(len(keys)), count)
    left = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
    return left, right


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
