"""The catalogue of the features of lists: each entry has a name, a meaning and the fold that computes it.

All are float32; NaN is a missing value and the default. No entry sees the row's own label, or anything at or
after the row's moment: labels count once they are known, and only as of the row's ``counted``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.past import Past
from features.ranking_log import VERBS
from features.running import Floats

LIFETIMES = {"1h": 1.0, "6h": 6.0, "1d": 24.0, "7d": 168.0, "30d": 720.0}
WINDOWS = {"5m": 1 / 12, "20m": 1 / 3, "1h": 1.0, "3h": 3.0, "8h": 8.0, "1d": 24.0}
OUTCOME_KEYS = {
    "item": "the item",
    "author": "the author",
    "user": "the reader",
    "topic": "the topic",
    "user_author": "the reader with the author",
    "user_topic": "the reader with the topic",
    "author_item": "the author with the item",
}
ACTS_BY = {
    "author_made": "acts by the author",
    "author_received": "acts on the author",
    "user": "acts by the reader",
    "user_author": "acts of the reader on the author",
    "author_user": "acts of the author on the reader",
    "item": "acts on the item",
    "user_item": "acts of the reader on the item",
    "followees": "acts of the reader's followees on the author",
}
ATTRIBUTES = {
    "seen_hours": "hours since the author was last seen by then",
    "rating": "the rating that the post gives",
    "mentions_account": "1 where the post mentions an account",
    "is_retweet": "1 for a retweet",
    "followers": "the author's followers at the moment",
    "friends": "accounts the author follows at the moment",
    "statuses": "posts of the author by then",
    "favourites": "posts the author has liked by then",
    "listed": "lists that hold the author",
}
PERSONAL = ("rating",)


@dataclass(frozen=True)
class ListFeature:
    """One float32 column; ``relative`` adds its rank among the rows of the same request as another."""

    name: str
    meaning: str
    compute: Callable[[Past], Floats]
    relative: bool = False

    @property
    def rank_name(self) -> str:
        return f"{self.name}_rank"


def _outcomes() -> Iterator[ListFeature]:
    for key, who in OUTCOME_KEYS.items():
        relative = key in ("item", "author", "user_author")
        yield ListFeature(
            f"{key}_shown", f"rows of {who} shown before", lambda p, k=key: p.shown(k), relative
        )
        for window, hours in (("1h", 1.0), ("1d", 24.0), ("7d", 168.0)):
            yield ListFeature(
                f"{key}_shown_{window}",
                f"of those, in the last {window}",
                lambda p, k=key, h=hours: p.shown(k, h),
                relative,
            )
        yield ListFeature(
            f"{key}_since_shown",
            f"hours since {who} was last shown",
            lambda p, k=key: p.since_shown(k),
            relative,
        )
        yield ListFeature(
            f"{key}_since_first_shown",
            f"hours since {who} was first shown",
            lambda p, k=key: p.since_first_shown(k),
            relative,
        )
        yield ListFeature(
            f"{key}_since_hit",
            f"hours since the last positive of {who}",
            lambda p, k=key: p.since_hit(k),
            relative,
        )
        for fading, hours in {"": None, **{f"_{name}": hours for name, hours in LIFETIMES.items()}}.items():
            over = f", each weighing exp(-age / {fading[1:]})" if fading else ""
            yield ListFeature(
                f"{key}_rate{fading}",
                f"smoothed share of positives of {who}{over}",
                lambda p, k=key, h=hours: p.rate(k, h),
                relative,
            )
            yield ListFeature(
                f"{key}_lift{fading}",
                f"positives of {who} over those expected by chance{over}",
                lambda p, k=key, h=hours: p.lift(k, h),
                relative,
            )
        yield ListFeature(
            f"{key}_value",
            f"smoothed mean of log(1 + value) of {who}",
            lambda p, k=key: p.mean_value(k),
            relative,
        )


def _acts() -> Iterator[ListFeature]:
    for by, what in ACTS_BY.items():
        relative = by not in ("user",)
        yield ListFeature(f"acts_{by}", what, lambda p, b=by: p.acted(b), relative)
        yield ListFeature(
            f"acts_{by}_since", f"hours since the last of {what}", lambda p, b=by: p.since_acted(b), relative
        )
        for window, hours in WINDOWS.items():
            yield ListFeature(
                f"acts_{by}_{window}",
                f"{what} in the last {window}",
                lambda p, b=by, h=hours: p.acted(b, None, h),
                relative,
            )
        for verb in VERBS if by != "followees" else ():
            yield ListFeature(
                f"acts_{by}_{verb}",
                f"{what} that are a {verb}",
                lambda p, b=by, v=verb: p.acted(b, v),
                relative,
            )
    for by in ("author_made", "author_received"):
        for short, long in (("5m", "1h"), ("20m", "3h"), ("1h", "8h"), ("3h", "1d")):
            yield ListFeature(
                f"burst_{by}_{short}_{long}",
                f"logarithm of the pace of {ACTS_BY[by]} in the last {short} over that of the last {long}",
                lambda p, b=by, s=WINDOWS[short], w=WINDOWS[long]: _burst(p, b, s, w),
                True,
            )


def _burst(past: Past, by: str, short: float, long: float) -> Floats:
    return np.log((past.acted(by, None, short) + 1.0) / (past.acted(by, None, long) * short / long + 1.0))


FOLLOWED = {
    "reader_follows": "accounts the reader follows",
    "author_followers": "known accounts that follow the author",
    "follows_back": "1 where the author follows the reader",
    "shared_followees": "accounts the reader follows that follow the author",
}


def _followed() -> Iterator[ListFeature]:
    for name, meaning in FOLLOWED.items():
        yield ListFeature(name, meaning, lambda p, n=name: p.followed(n), name != "reader_follows")


def _attributes() -> Iterator[ListFeature]:
    for name, meaning in ATTRIBUTES.items():
        yield ListFeature(name, meaning, lambda p, n=name: p.attribute(n), name == "seen_hours")
    for name in PERSONAL:
        yield ListFeature(
            f"{name}_above_usual",
            f"{name} less its mean over the author's earlier rows",
            lambda p, n=name: p.attribute(n) - p.mean_attribute("author", n),
        )
        yield ListFeature(
            f"{name}_above_item",
            f"{name} less its mean over the item's earlier rows",
            lambda p, n=name: p.attribute(n) - p.mean_attribute("item", n),
        )
    yield ListFeature("request_size", "rows of the request", lambda p: p.request_sizes)
    yield ListFeature("hour", "hour of the day, UTC", lambda p: p.rows.time % 86_400_000 / 3_600_000)


CATALOGUE: tuple[ListFeature, ...] = (*_outcomes(), *_acts(), *_followed(), *_attributes())


def rank_within(requests: NDArray[np.int64], values: NDArray[np.floating]) -> Floats:
    """The share of a request's other rows with a smaller value, ties counting one half; NaN stays NaN."""
    import pandas as pd

    grouped = pd.Series(values).groupby(requests)
    ranks = grouped.rank(method="average").to_numpy()
    sizes = grouped.transform("count").to_numpy()
    return np.where(sizes > 1, (ranks - 1) / np.maximum(sizes - 1, 1), np.nan)
