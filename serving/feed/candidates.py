"""The candidates of one page as a table: a row each, a column for each thing that stages find out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from serving.pipeline.stages import Columns, Mask, Rows
from timelines.entry import Ids

SourceName = Literal["following", "celebrity", "two_hop", "similar", "trending", "popular"]
SOURCES: tuple[SourceName, ...] = get_args(SourceName)
FOLLOWING, CELEBRITY, TWO_HOP, SIMILAR, TRENDING, POPULAR = range(len(SOURCES))
Objects = NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """

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

    @classmethod
    def of(
        cls,
        appearance: Ids,
        author: Ids,
        original: Ids,
        original_author: Ids,
        is_retweet: Mask,
        source: NDArray[np.uint8] | int,
        **known: Any,
    ) -> Candidates:
        """Candidates of which nothing else is known but ``known`` columns."""
        n = len(appearance)
        columns: dict[str, Any] = {
            name: np.broadcast_to(value, (n, *value.shape[1:])) for name, value in UNKNOWN.items()
        }
        columns["source"] = np.broadcast_to(np.uint8(source), n) if isinstance(source, int) else source
        return cls(
            appearance=appearance,
            author=author,
            original=original,
            original_author=original_author,
            is_retweet=is_retweet,
            **(columns | known),
        )

    @classmethod
    def none(cls) -> Candidates:
        """No candidates."""
        ids = np.empty(0, dtype=np.int64)
        return cls.of(ids, ids, ids, ids, np.empty(0, dtype=np.bool_), FOLLOWING)

    def __len__(self) -> int:
        return len(self.appearance)

    def take(self, rows: Rows) -> Candidates:
        return Candidates(**{name: _taken(getattr(self, name), rows) for name in COLUMNS})

    def with_columns(self, columns: Columns) -> Candidates:
        return dataclasses.replace(self, **columns)

    def out_of_network(self) -> Mask:
        """Whether a candidate comes from accounts that the reader does not follow."""
        return self.source > CELEBRITY


COLUMNS = tuple(field.name for field in dataclasses.fields(Candidates))


def joined(tables: Sequence[Candidates]) -> Candidates:
    """The rows of all tables, in their order; each table has the same width of features and scores."""
    return Candidates(
        **{name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS}
    )


def objects(values: Iterable[Any]) -> Objects:
    """Any values as a column: numpy would take tuples apart."""
    return np.fromiter(values, dtype=np.object_)


def _taken(column: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """Rows of a column; one value that stands for all stays one value."""
    if len(column) and column.strides[0] == 0:
        return np.broadcast_to(column[:1], (len(rows), *column.shape[1:]))
    return column[rows]


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
"""What each column says of a candidate until a stage finds out: one value for all rows, not a copy each."""
