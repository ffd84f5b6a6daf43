"""What a model's score is multiplied by, for a repeated author, a repeated topic, an author who was hidden.

Arrays hold one value per candidate, in any order; ids are int64 throughout. Every multiplier lies in 0..1, so
that none raises a score, which is never below zero (``training/formula.py``). An unscored candidate (NaN)
has multipliers 1 of diversity and does not count in anybody else's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.feed.policy import Fatigue
from timelines.durations import DAY_MS
from timelines.topics import NO_TOPIC

Ids = NDArray[np.int64]
Values = NDArray[np.float64]


class Multipliers(NamedTuple):
    """The factors of n candidates, float64 [n] each."""

    author_diversity: Values
    topic_diversity: Values
    fatigue: Values

    @property
    def product(self) -> Values:
        return self.author_diversity * self.topic_diversity * self.fatigue


def author_diversity(
    scored: NDArray[np.intp], authors: Ids, served: Ids, decay: float, floor: float
) -> Values:
    """``max(floor, decay ** k)`` for the item that k of the same original author stand before.

    ``scored``: places of the scored candidates, best first. ``served``: original author of each recently
    served item, one entry per item; these stand before all candidates.
    """
    factors = np.ones(len(authors))
    factors[scored] = _decayed(_earlier(authors[scored], served), decay, floor)
    return factors


def topic_diversity(scored: NDArray[np.intp], topics: Ids, served: Ids, decay: float, floor: float) -> Values:
    """``max(floor, decay ** k)``, k being counted as for authors, of the candidate's most frequent topic.

    ``topics`` is [n, m], padded with -1; a topic twice in one row counts once. ``served``: topics of the
    recently served items, one entry per item and topic.
    """
    factors = np.ones(len(topics))
    rows = np.sort(topics[scored], axis=1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = NO_TOPIC
    earlier = np.where(rows == NO_TOPIC, 0, _earlier(rows.ravel(), served.ravel()).reshape(rows.shape))
    factors[scored] = _decayed(earlier.max(axis=1, initial=0), decay, floor)
    return factors


def fatigue(authors: Ids, hidden: Ids, hidden_ago_ms: NDArray[np.int64], policy: Fatigue) -> Values:
    """``1 - (1 - fresh) / 2 ** (days / half_life_days)`` for items of an author hidden so many days ago.

    ``hidden`` and ``hidden_ago_ms`` [h]: original authors that the reader hid, and milliseconds since; of an
    author hidden several times the last one counts. A hide that lies ahead (clocks differ) counts as fresh.
    """
    if len(hidden) == 0:
        return np.ones(len(authors))
    order = np.lexsort((hidden_ago_ms, hidden))
    hidden = hidden[order]
    place = np.minimum(np.searchsorted(hidden, authors), len(hidden) - 1)
    days = np.maximum(hidden_ago_ms[order], 0)[place] / DAY_MS
    factors = 1 - (1 - policy.fresh) * np.exp2(-days / policy.half_life_days)
    return np.where(hidden[place] == authors, factors, 1.0)


def _decayed(earlier: Ids, decay: float, floor: float) -> Values:
    return np.asarray(np.maximum(floor, np.power(decay, earlier)))


def _earlier(keys: Ids, served: Ids) -> Ids:
    """How often each key stands before its place, in ``served`` and then in ``keys``."""
    joined = np.concatenate((served, keys))
    by_key = np.argsort(joined, kind="stable")
    ordered = joined[by_key]
    places = np.arange(len(joined))
    first = places.copy()
    first[1:][ordered[1:] == ordered[:-1]] = 0
    earlier = np.empty(len(joined), dtype=np.int64)
    earlier[by_key] = places - np.maximum.accumulate(first)
    return earlier[len(served) :]
