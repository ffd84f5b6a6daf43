"""Who of those a reader follows, or had acted on, acted on an author, for pairs that were candidates."""

from __future__ import annotations

import numpy as np

from features.follow_graph import joined
from features.ranking_log import Acts, Follows
from features.running import Ints, Running, pair_keys


def followee_acts(acts: Acts, follows: Follows, users: Ints, authors: Ints) -> Running:
    """Acts on an author by those whom a reader followed when they acted, by the key (reader, author), for the
    pairs given."""
    pairs = np.unique(pair_keys(users, authors))
    edges = follows.where(np.isin(follows.follower, users))
    edges = edges.where(np.argsort(edges.followee, kind="stable"))
    kept = np.isin(acts.author, authors)
    actor, author, time = acts.user[kept], acts.author[kept], acts.time[kept]
    edge, act = joined(edges.followee, actor)
    keys = pair_keys(edges.follower[edge], author[act])
    followed = (edges.since[edge] < time[act]) & (time[act] <= edges.until[edge])
    wanted = np.isin(keys, pairs) & followed
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
    tie, act = joined(acts.author[ties], acts.user[seconds])
    tie, act = ties[tie], seconds[act]
    keys = pair_keys(acts.user[tie], acts.author[act])
    wanted = np.isin(keys, pairs)
    return Running(keys[wanted], np.maximum(acts.time[tie], acts.time[act])[wanted])
