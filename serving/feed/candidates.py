"""The candidates of one page as a table: a row each, a column for each thing that stages find out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from serving.pipeline.stages import Columns, Mask, Rows
from timelines.entry import Ids

SourceName = Literal["following", "celebrity", "two_hop", "similar", "trending", "popular"]
SOURCES: tuple[SourceName, ...] = get_args(SourceName)
FOLLOWING, CELEBRITY, TWO_HOP, SIMILAR, TRENDING, POPULAR = range(len(SOURCES))
Objects = NDArray[np.object_]


class Candidates:
    """Tweets on their way into a page: where each appeared, and what stages found out about it.

    ``appearance`` is the tweet's or the retweet's id and ``author`` who made it appear; ``source`` is a place
    in ``SOURCES``; ``retweeters`` are tuples of ids, newest first, as ``liked_by`` are: who
    of those followed likes it; ``rank`` is the place in a kept ranking.
    ``body`` None with ``body_read`` means that there is none yet; ``created_at`` is in ms UTC, -1 where it is
    not known. ``marked``: the tweet, its author or who retweeted it is limited or quarantined.
    ``features`` are rows of model input, without columns until they were read; ``light`` is the light
    ranker's score, ``probabilities`` has a column per head, ``model_score`` is their weighted sum, and
    ``score`` what is left of it after the ``multipliers``, a column each. A score of NaN means unscored.
    The last five columns are filled on the page alone.

    A table never changes. A column that no stage has filled says ``UNKNOWN`` of every row and costs nothing.
    """

    __slots__ = ("_columns", "_rows")

    appearance: Ids
    author: Ids
    original: Ids
    original_author: Ids
    is_retweet: Mask
    source: NDArray[np.uint8]
    retweeters: Objects
    liked_by: Objects
    rank: NDArray[np.int64]
    body: Objects
    body_read: Mask
    created_at: Ids
    marked: Mask
    features: NDArray[np.float32]
    light: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    model_score: NDArray[np.float64]
    multipliers: NDArray[np.float64]
    score: NDArray[np.float64]
    propensity: NDArray[np.float64]
    author_user: Objects
    retweeted_by: Objects
    liked_by_users: Objects
    counts: Objects
    viewer: Objects

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._rows = len(columns["appearance"])

    @classmethod
    def of(
        cls,
        appearance: Ids,
        author: Ids,
        original: Ids,
        original_author: Ids,
        is_retweet: Mask,
        source: NDArray[np.uint8] | int,
        **known: NDArray[Any],
    ) -> Candidates:
        """Candidates of which nothing else is known but ``known`` columns."""
        columns = {
            "appearance": appearance,
            "author": author,
            "original": original,
            "original_author": original_author,
            "is_retweet": is_retweet,
            "source": np.full(len(appearance), source, np.uint8) if isinstance(source, int) else source,
        }
        return cls(columns | known)

    @classmethod
    def none(cls) -> Candidates:
        """No candidates."""
        ids = np.empty(0, dtype=np.int64)
        return cls.of(ids, ids, ids, ids, np.empty(0, dtype=np.bool_), FOLLOWING)

    def __len__(self) -> int:
        return self._rows

    def __getattr__(self, name: str) -> NDArray[Any]:
        column = self._columns.get(name)
        if column is not None:
            return column
        unknown = UNKNOWN.get(name)
        if unknown is None:
            raise AttributeError(f"Candidates have no column {name}.")
        return np.broadcast_to(unknown, (self._rows, *unknown.shape[1:]))

    @property
    def known(self) -> frozenset[str]:
        """The columns that say something."""
        return frozenset(self._columns)

    def take(self, rows: Rows) -> Candidates:
        return Candidates({name: column[rows] for name, column in self._columns.items()})

    def with_columns(self, columns: Columns) -> Candidates:
        return Candidates({**self._columns, **columns})

    def out_of_network(self) -> Mask:
        """Whether a candidate comes from accounts that the reader does not follow."""
        return self.source > CELEBRITY


def joined(tables: Sequence[Candidates]) -> Candidates:
    """The rows of all tables, in their order; each table has the same width of features and scores."""
    known = frozenset[str]().union(*(table.known for table in tables))
    return Candidates({name: np.concatenate([getattr(table, name) for table in tables]) for name in known})


def objects(values: Iterable[Any]) -> Objects:
    """Any values as a column: numpy would take tuples apart."""
    return np.fromiter(values, dtype=np.object_)


UNKNOWN: dict[str, NDArray[Any]] = {
    "retweeters": objects([()]),
    "liked_by": objects([()]),
    "rank": np.zeros(1, dtype=np.int64),
    "body": np.full(1, None),
    "body_read": np.zeros(1, dtype=np.bool_),
    "created_at": np.full(1, -1, dtype=np.int64),
    "marked": np.zeros(1, dtype=np.bool_),
    "features": np.empty((1, 0), dtype=np.float32),
    "light": np.full(1, np.nan),
    "probabilities": np.empty((1, 0)),
    "model_score": np.full(1, np.nan),
    "multipliers": np.empty((1, 0)),
    "score": np.full(1, np.nan),
    "propensity": np.ones(1),
    "author_user": np.full(1, None),
    "retweeted_by": objects([()]),
    "liked_by_users": objects([()]),
    "counts": np.full(1, None),
    "viewer": np.full(1, None),
}
"""What each column says of a candidate until a stage finds out."""
