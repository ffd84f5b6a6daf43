"""What ranking features are computed from: acts, lists of candidates, texts, and who follows whom.

People, authors, items and topics are codes from 0 (-1 where unknown); times are int64, ms UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.running import UNKNOWN, Floats, Ints

VERBS = ("retweet", "reply", "mention", "read", "like", "quote")
RESPONSES = {"opened": "openings", "dwelt": "long looks"}
"""What readers also do with what they are shown, seen by nobody else, and what it is called in the plural."""
NEVER = int(np.iinfo(np.int64).max) // 4
"""A moment that does not come; its negative was before all others."""
TRUTH = "planted_truth"
"""The attribute of a synthetic row that no feature reads: the chance its label was drawn with."""


@dataclass(frozen=True)
class Acts:
    """Somebody (``user``) did ``verb`` (a place in ``VERBS``) to an author or an item, each [n]."""

    time: Ints
    user: Ints
    author: Ints
    item: Ints
    verb: Ints

    @classmethod
    def none(cls) -> Acts:
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(5)))


@dataclass(frozen=True)
class Candidates:
    """Rows that were, or are to be, decided on, each [n], in order of time.

    ``request``: the rows seen together at one moment. ``list``: the rows whose order is judged together.
    ``label``: 0 or 1; ``value``: how much of it, 0 or more. ``known``: when the label can be known.
    ``counted``: the moment as of which label counters are taken, never after ``time``. ``later``: whether the
    row is one to judge a model by, not to fit it on. ``judged``: whether it counts in figures and outcomes.
    ``attributes``: what was known of the row itself, float64, NaN if missing. ``responses``: by a name of
    ``RESPONSES``, 0 or 1, float64, known when the label is; empty where nobody reports any.
    """

    request: Ints
    list: Ints
    time: Ints
    known: Ints
    counted: Ints
    user: Ints
    author: Ints
    item: Ints
    topic: Ints
    label: Floats
    value: Floats
    later: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    attributes: Mapping[str, Floats]
    responses: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def shown_together(
        cls,
        *,
        request: Ints,
        time: Ints,
        user: Ints,
        label: Floats,
        later: NDArray[np.bool_],
        known: Ints | None = None,
        author: Ints | None = None,
        item: Ints | None = None,
        topic: Ints | None = None,
        attributes: Mapping[str, Floats] | None = None,
        responses: Mapping[str, Floats] | None = None,
    ) -> Candidates:
        """Rows of pages: a list is a request, its labels known at once unless told; all rows are judged."""
        unknown = np.full(len(time), UNKNOWN, dtype=np.int64)
        return cls(
            request=request,
            list=request,
            time=time,
            known=time if known is None else known,
            counted=time,
            user=user,
            author=unknown if author is None else author,
            item=unknown if item is None else item,
            topic=unknown if topic is None else topic,
            label=label,
            value=label,
            later=later,
            judged=np.ones(len(time), dtype=np.bool_),
            attributes=attributes or {},
            responses=responses or {},
        )

    def __len__(self) -> int:
        return len(self.time)

    def where(self, kept: NDArray[np.bool_] | Ints) -> Candidates:
        """The rows at the places ``kept``, int64 [m], or those for which it, bool [n], holds."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        chosen: dict[str, Any] = {
            name: {each: values[kept] for each, values in column.items()}
            if isinstance(column, Mapping)
            else column[kept]
            for name, column in columns.items()
        }
        return Candidates(**chosen)


@dataclass(frozen=True)
class Follows:
    """Edges, each [m]: ``follower`` follows ``followee`` at the moments t with ``since`` < t <= ``until``.

    Both are ms UTC, ``until`` is ``NEVER`` where the follow was not taken back: as of everything else, what
    happens at a moment counts only after it.
    """

    follower: Ints
    followee: Ints
    since: Ints
    until: Ints

    @classmethod
    def none(cls) -> Follows:
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(4)))

    @classmethod
    def always(cls, follower: Ints, followee: Ints) -> Follows:
        """Edges of data that has no times of them: they are taken to stand all along."""
        return cls(follower, followee, np.full(len(follower), -NEVER), np.full(len(follower), NEVER))

    @classmethod
    def of_changes(cls, time: Ints, follower: Ints, followee: Ints, active: NDArray[np.bool_]) -> Follows:
        """From what happened to the edges, in whatever order, repetitions included, each [n]: ``active`` is
        true where a follow was made, and false where it was taken back."""
        order = np.lexsort((active, time, followee, follower))
        time, follower, followee, active = (column[order] for column in (time, follower, followee, active))
        until = np.full(len(time), NEVER)
        same = (follower[1:] == follower[:-1]) & (followee[1:] == followee[:-1])
        until[:-1][same] = time[1:][same]
        return cls(follower, followee, time, until).where(active & (time < until))

    def where(self, kept: NDArray[np.bool_] | Ints) -> Follows:
        """The edges at the places ``kept``, int64, or those for which it, bool [m], holds."""
        return Follows(*(getattr(self, column.name)[kept] for column in fields(self)))


@dataclass(frozen=True)
class Texts:
    """Words of items, a row for each word of each, [m]: ``author`` wrote ``item`` at ``time``."""

    time: Ints
    author: Ints
    item: Ints
    word: Ints

    @classmethod
    def none(cls) -> Texts:
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(4)))


@dataclass(frozen=True)
class RankingLog:
    """All of it: what was decided on, what was done, who follows whom, and what was written."""

    candidates: Candidates
    acts: Acts = field(default_factory=Acts.none)
    follows: Follows = field(default_factory=Follows.none)
    texts: Texts = field(default_factory=Texts.none)

    @property
    def fingerprint(self) -> str:
        """sha256 of all columns in their order: files with the same content give the same digest."""
        digest = hashlib.sha256()
        for part in (self.candidates, self.acts, self.follows, self.texts):
            for column in fields(part):
                held = getattr(part, column.name)
                named = sorted(held.items()) if isinstance(held, Mapping) else [(column.name, held)]
                for name, values in named:
                    digest.update(f"{name} {len(values)} ".encode())
                    digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()
