"""What a model has to beat: orders that need no training, behind the model's own interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HOT_GRAVITY = 1.5
TWEET_COUNTS = ("tweet_likes", "tweet_retweets", "tweet_replies", "tweet_quotes")
AUTHOR_COUNTS = ("author_likes_received", "author_retweets_received")


class Ranker(Protocol):
    """Scores the rows of a frame of examples; the higher is shown first within its request."""

    @property
    def name(self) -> str: ...

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Scores float64 [n], none of them NaN."""
        ...


@dataclass(frozen=True)
class Chronological:
    """The newest tweet first, by its Snowflake id."""

    name: str = "chronological"

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        # Ids pass 2^53: as floats, tweets of one second would tie.
        return frame["tweet"].rank(method="dense").to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Popularity:
    """The tweet with the most engagements so far first."""

    name: str = "popularity"

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        return _total(frame, TWEET_COUNTS)


@dataclass(frozen=True)
class AuthorPopularity:
    """The tweet of the author with the most likes and retweets so far first."""

    name: str = "author_popularity"

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        return _total(frame, AUTHOR_COUNTS)


@dataclass(frozen=True)
class Hot:
    """Engagements so far over (age in hours + 2) to the power of 1.5: popular and recent."""

    name: str = "hot"

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        age = frame["context_age_hours"].fillna(np.inf).clip(lower=0).to_numpy(dtype=np.float64)
        return (_total(frame, TWEET_COUNTS) + 1.0) / (age + 2.0) ** HOT_GRAVITY


@dataclass(frozen=True)
class Recency:
    """The tweet first that is engaged with most just now: each engagement weighs exp(-age / 1h)."""

    name: str = "recency"

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        return _total(frame, ("tweet_engagements_1h",))


@dataclass(frozen=True)
class Affinity:
    """The author whom the reader engaged with most often first."""

    name: str = "affinity"

    def score(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        return _total(frame, ("pair_engagements",))


BASELINES: tuple[Ranker, ...] = (
    Chronological(),
    Popularity(),
    AuthorPopularity(),
    Recency(),
    Hot(),
    Affinity(),
)


def _total(frame: pd.DataFrame, columns: tuple[str, ...]) -> NDArray[np.float64]:
    # No count yet is no engagement: for these orders, not for the model, missing counts as none.
    return frame[list(columns)].fillna(0.0).sum(axis=1).to_numpy(dtype=np.float64)
