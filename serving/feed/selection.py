"""From model scores to the order of a feed: multipliers, the order by final score, the balance of networks.

Pure functions over columns; the figures in force are the policy's. ``docs/selection.md`` has the formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving.feed.multipliers import (
    Ids,
    Multipliers,
    Values,
    author_diversity,
    fatigue,
    topic_diversity,
)
from serving.feed.policy import Policy
from serving.pipeline.selection import best_first

Places = NDArray[np.intp]
Flags = NDArray[np.bool_]

NOBODY: Ids = np.empty(0, dtype=np.int64)
ROUNDING = 1e-9
"""What ``share * slots`` may miss a whole number by: 0.29 * 100 is 28.999999999999996. Less is no share."""


@dataclass(frozen=True, slots=True)
class Scored:
    """n candidates in any order.

    ``ids`` [n]: appearance ids, higher is newer. ``authors`` [n]: of the originals. ``topics`` [n, m] padded
    with -1. ``out_of_network`` [n]. ``scores`` [n]: the model's, 0 or above, NaN where it gave none.
    """

    ids: Ids
    authors: Ids
    topics: Ids
    out_of_network: Flags
    scores: Values


@dataclass(frozen=True, slots=True)
class Recent:
    """What the reader was lately served, one entry per item (and topic), and whom the reader hid, when."""

    authors: Ids = field(default_factory=lambda: NOBODY)
    topics: Ids = field(default_factory=lambda: NOBODY)
    hidden_authors: Ids = field(default_factory=lambda: NOBODY)
    hidden_ago_ms: Ids = field(default_factory=lambda: NOBODY)


@dataclass(frozen=True, slots=True)
class Selected:
    """``order`` [n]: places in the input, first slot first. ``scores`` [n]: final, in the input's order.

    The first ``scored`` of ``order`` have a score; the rest, NaN, follow.
    """

    order: Places
    scored: int
    scores: Values
    multipliers: Multipliers


def select(candidates: Scored, recent: Recent, policy: Policy) -> Selected:
    """The whole ranking of these candidates; a page is a slice of its order.

    final score = model score x author diversity x topic diversity x fatigue
    """
    scored = int(np.count_nonzero(~np.isnan(candidates.scores)))
    multipliers = multiply(candidates, recent, policy, scored)
    final = candidates.scores * multipliers.product
    order = best_first(final, candidates.ids)
    outside = candidates.out_of_network[order]
    order = order[balanced(outside, policy.network.out_of_network, scored)]
    return Selected(order, scored, final, multipliers)


def multiply(candidates: Scored, recent: Recent, policy: Policy, scored: int) -> Multipliers:
    """The multipliers of all candidates, of which so many are scored."""
    diversity, by_model = policy.diversity, best_first(candidates.scores, candidates.ids)[:scored]
    return Multipliers(
        author_diversity(
            by_model, candidates.authors, recent.authors, diversity.author_decay, diversity.author_floor
        ),
        topic_diversity(
            by_model, candidates.topics, recent.topics, diversity.topic_decay, diversity.topic_floor
        ),
        fatigue(candidates.authors, recent.hidden_authors, recent.hidden_ago_ms, policy.fatigue),
    )


def balanced(outside: Flags, share: float, scored: int) -> Places:
    """The order in which items, best first, take the slots so that few are of accounts not followed.

    Of the first s slots, for each s, at most ``floor(share * s)`` are out of network as long as in-network
    items are left; a slot goes to the best item that may have it, so that each network keeps its own order.
    ``outside`` [n] says which are out of network. Unscored items, from place ``scored`` on, come after all
    scored ones; their slots and theirs are counted on.
    """
    head = _balanced(outside[:scored], share, 0, 0)
    if scored == len(outside):
        return head
    tail = _balanced(outside[scored:], share, scored, int(np.count_nonzero(outside[:scored])))
    return np.concatenate((head, tail + scored))


def _balanced(outside: Flags, share: float, slots_before: int, outside_before: int) -> Places:
    """The j-th item outside takes its slot by score, or the first later one that the share allows it.

    Both grow with j, so that the greedy walk over the slots is this one maximum per item.
    """
    out, into = np.flatnonzero(outside), np.flatnonzero(~outside)
    count = np.arange(1, len(out) + 1)
    slots = out + 1
    if share > ROUNDING:
        allowed = np.ceil((outside_before + count) / share - ROUNDING) - slots_before
        slots = np.maximum(slots, np.minimum(allowed, len(outside)).astype(np.intp))
    else:
        slots = np.full(len(out), len(outside))
    slots = np.minimum(slots, len(into) + count)
    order = np.empty(len(outside), dtype=np.intp)
    taken = np.zeros(len(outside), dtype=np.bool_)
    taken[slots - 1] = True
    order[taken], order[~taken] = out, into
    return order
