"""The JSON shapes of the ranking API: ids are decimal strings, times RFC 3339 UTC with milliseconds.

Typed dictionaries: routes build them directly, OpenAPI is derived from them, tests validate against them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NotRequired

# pydantic refuses typing.TypedDict before Python 3.12.
from typing_extensions import TypedDict

Rung = Literal["full", "reduced", "light", "chronological", "records"]
Reason = Literal[
    "requested",
    "deadline",
    "overload",
    "breaker_open",
    "model_unavailable",
    "features_unavailable",
    "redis_unavailable",
    "no_candidates",
]

BreakerState = Literal["closed", "open", "half_open"]


class UserCounts(TypedDict):
    followers: int
    following: int
    tweets: int


class UserViewer(TypedDict):
    follows: bool
    followed_by: bool
    muted: bool
    blocked: bool


class User(TypedDict):
    id: str
    handle: str
    display_name: str
    place: NotRequired[str]
    created_at: str
    counts: UserCounts
    viewer: UserViewer


class TweetCounts(TypedDict):
    likes: int
    retweets: int
    replies: int
    quotes: int


class TweetViewer(TypedDict):
    liked: bool
    retweeted: bool


class Tweet(TypedDict):
    """``text`` is null where a recording does not have it."""

    id: str
    author: User
    text: str | None
    created_at: str
    lang: str | None
    place: NotRequired[str]
    visibility: str
    in_reply_to: NotRequired[str]
    quote_of: NotRequired[str]
    hashtags: list[str]
    mentions: list[str]
    media: list[str]
    counts: TweetCounts
    viewer: TweetViewer
    retweeted_by: NotRequired[list[User]]


class HeadExplanation(TypedDict):
    probability: float
    weight: float
    contribution: float


class FeatureExplanation(TypedDict):
    """``contribution`` is what the feature adds to the weighted log-odds of the heads."""

    name: str
    value: float | None
    contribution: float


class Explanation(TypedDict):
    """Why an item stands where it does.

    ``chronological_position``: its place among the same candidates, newest first. The formula makes
    ``model_score`` of the heads' contributions, or the light ranker gave it; times the multipliers it is the
    item's score. ``propensity``: the chance that it stood here, given the ranking.
    """

    chronological_position: int
    heads: dict[str, HeadExplanation]
    model_score: float | None
    multipliers: dict[str, float]
    propensity: float
    features: list[FeatureExplanation]


class FeedItem(TypedDict):
    """``appearance_id``: the tweet's own id, or the id of the newest retweet that brought it here."""

    tweet: Tweet
    appearance_id: str
    position: int
    source: Literal["following", "celebrity", "two_hop", "similar", "trending", "popular"]
    score: float | None
    reason: str
    explanation: NotRequired[Explanation]


class StageTiming(TypedDict):
    stage: str
    entered: int
    left: int
    ms: float
    error: str | None


class RequestExplanation(TypedDict):
    """``removed``: candidates that each filter took out, in the order of the filters.

    ``formula`` and ``policy`` are the versions that scores and order follow, ``out_of_network`` the largest
    share of accounts not followed; null where nothing was ranked.
    """

    removed: dict[str, int]
    stages: list[StageTiming]
    formula: str | None
    policy: str | None
    out_of_network: float | None


class Ranking(TypedDict):
    rung: Rung
    reason: Reason | None
    model: str | None
    candidates: int
    ms: float


class WhyNot(TypedDict):
    """Where a tweet is, or was lost, on the way into a reader's ranked feed of this moment.

    ``outcome``: "shown" and "below_the_page" with ``position``; "removed" with the filter in ``stage``;
    "no_candidate": no source had it.
    """

    outcome: Literal["shown", "below_the_page", "removed", "no_candidate"]
    stage: str | None
    position: int | None
    score: float | None
    sources: list[str]
    ranking: Ranking


class FeedPage(TypedDict):
    request_id: str
    items: list[FeedItem]
    next_cursor: str | None
    has_more: bool
    ranking: Ranking
    as_of: str
    explanation: NotRequired[RequestExplanation]


class FeedDelta(TypedDict):
    """``count`` of newer tweets; ``items`` are the newest of them."""

    count: int
    items: list[FeedItem]


class RankedItem(TypedDict):
    """``probabilities`` per head; a ``score`` of null is none: such an item belongs last."""

    id: str
    score: float | None
    probabilities: dict[str, float]


class RankAnswer(TypedDict):
    """``unknown``: tweets that are not there, or deleted, and so have no score."""

    model: str
    items: list[RankedItem]
    unknown: list[str]


class TweetPage(TypedDict):
    items: list[Tweet]
    next_cursor: str | None
    has_more: bool


class UserPage(TypedDict):
    items: list[User]
    next_cursor: str | None
    has_more: bool


class Trend(TypedDict):
    term: str
    rank: int
    count: int
    authors: int
    score: float
    since: str


class Trends(TypedDict):
    as_of: str | None
    place: str
    items: list[Trend]


class Health(TypedDict):
    status: Literal["ok"]


class Readiness(TypedDict):
    """``dependencies``: "ok", or what is wrong with it; ``breakers``: of those that have one."""

    status: Literal["ready", "degraded", "unavailable"]
    model: str | None
    dependencies: dict[str, str]
    breakers: dict[str, BreakerState]


def rfc3339(ms: int) -> str:
    """Milliseconds UTC as RFC 3339 with milliseconds."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=1 << 14)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
