"""What a feed request asks, and what the pipeline knows about one candidate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.shapes import TweetCounts, TweetViewer, User
from timelines.bodies import TweetBody

Algorithm = Literal["ranked", "chronological"]
SourceName = Literal["following", "celebrity", "two_hop", "similar", "trending", "popular"]

EVERYTHING = 2**64 - 1


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """One page of one reader's feed.

    ``now_ms`` is the moment of the request, milliseconds UTC; ``offset`` how many items earlier pages of the
    same scrolling showed. Chronological pages take appearances above ``since``, of at most ``top`` and below
    ``below``; ranked ones continue at ``offset`` of the ranking kept under ``snapshot``. Nothing is shown of
    the accounts in ``hidden`` (muted, blocked, or blocking the reader) nor what has one of ``muted_words``.
    """

    reader: int
    limit: int
    now_ms: int
    request_id: str
    top: int = EVERYTHING
    below: int = EVERYTHING
    since: int = 0
    offset: int = 0
    snapshot: str = ""
    hidden: frozenset[int] = frozenset()
    muted_words: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """A tweet on its way into a page: where it appeared, and what stages found out about it.

    ``appearance_id`` is the tweet's or the retweet's id and ``author`` who made it appear; ``retweeters``
    newest first; ``rank`` is its place in a kept ranking. ``body`` None with ``body_read`` means that there
    is none yet. ``marked``: the tweet, its author or who retweeted it is limited or
    quarantined. ``features`` is one row of model input; a ``score`` of NaN means unscored.
    """

    appearance_id: int
    author: int
    original_id: int
    original_author: int
    is_retweet: bool
    source: SourceName
    retweeters: tuple[int, ...] = ()
    rank: int = 0
    body: TweetBody | None = None
    body_read: bool = False
    features: NDArray[np.float32] | None = None
    probabilities: Mapping[str, float] | None = None
    score: float = math.nan
    counts: TweetCounts | None = None
    viewer: TweetViewer | None = None
    author_user: User | None = None
    marked: bool = False
    retweeted_by: tuple[User, ...] = ()
