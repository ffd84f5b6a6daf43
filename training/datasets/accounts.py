"""Which posts are of one account where ids are missing: public counters change little between posts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from features.running import Floats, Ints
from timelines.durations import DAY_MS

SAME = (
    ("friends", "followers", "favourites"),
    ("friends", "followers"),
    ("friends", "favourites", "listed"),
    ("followers", "favourites", "listed"),
    ("friends", "listed"),
)
SCALES = {"friends": 1.0, "followers": 1.0, "statuses": 0.5, "favourites": 0.5, "listed": 0.3}
"""How far apart two posts are by the logarithm of a counter."""
NEAR, NEIGHBOURS = 0.06, 16
SHARED_BELOW = 100.0
"""What the product of an account's counters must exceed to tell it apart: small ones are shared by many."""
WEEK_MS = 7 * DAY_MS


def account_codes(posts: pd.DataFrame) -> Ints:
    """A code per account, int64 [n], from posts in order of time with ``user_id``, ``time`` and the counters.

    A post without an id belongs to the account of an earlier post of which it may be a continuation: with the
    same counters in one of the groups of ``SAME``, or else of the nearest one of earlier weeks. Only earlier
    posts are looked at, so that a later one changes nothing.
    """
    earlier = np.full(len(posts), -1, dtype=np.int64)
    missing = posts["user_id"].isna().to_numpy()
    for same in SAME:
        group = posts.groupby(["mentions_code", *same], sort=False).ngroup().to_numpy()
        order = np.lexsort((np.arange(len(posts)), group))
        before, after = order[:-1], order[1:]
        fits = (
            (group[before] == group[after]) & _continues(posts, before, after) & _telling(posts, same)[after]
        )
        fits &= missing[after] & (earlier[after] < 0)
        earlier[after[fits]] = before[fits]
    _add_nearest(posts, missing & (earlier < 0), earlier)
    return _resolved(pd.factorize(posts["user_id"])[0], earlier)


def _add_nearest(posts: pd.DataFrame, wanted: NDArray[np.bool_], earlier: Ints) -> None:
    """Fills ``earlier`` where ``wanted`` with the nearest post of an earlier week that it may continue."""
    points = _points(posts)
    week = posts["time"].to_numpy() // WEEK_MS
    wanted = wanted & _telling(posts, ("friends", "followers"))
    for number in np.unique(week[wanted]):
        start = int(np.searchsorted(week, number))
        rows = np.flatnonzero(wanted & (week == number))
        if start == 0:
            continue
        distances, places = cKDTree(points[:start]).query(
            points[rows], k=NEIGHBOURS, distance_upper_bound=NEAR
        )
        found = np.isfinite(distances)
        places = np.where(found, places, 0)
        after = np.repeat(rows, NEIGHBOURS)
        found &= _continues(posts, places.ravel(), after).reshape(found.shape)
        some = found.any(axis=1)
        nearest = places[np.arange(len(rows)), found.argmax(axis=1)]
        earlier[rows[some]] = nearest[some]


def _points(posts: pd.DataFrame) -> Floats:
    """Posts as points: near ones have nearly the same counters, and the same code of ``mentions_code``."""
    columns = [scale * np.log1p(posts[name].to_numpy(dtype=np.float64)) for name, scale in SCALES.items()]
    return np.column_stack([*columns, pd.factorize(posts["mentions_code"])[0]])


def _continues(posts: pd.DataFrame, before: Ints, after: Ints) -> NDArray[np.bool_]:
    """Whether the counters may be one account's: close, and no more new statuses than one can write."""
    days = (posts["time"].to_numpy()[after] - posts["time"].to_numpy()[before]) / DAY_MS
    statuses = posts["statuses"].to_numpy()
    new = statuses[after] - statuses[before]
    close: NDArray[np.bool_] = (new >= 0) & (new <= 30 + 150 * days) & (new <= 20 + 0.5 * statuses[before])
    for name, share in (("followers", 0.1), ("friends", 0.1), ("favourites", 0.3), ("listed", 0.3)):
        values = posts[name].to_numpy(dtype=np.float64)
        gap = np.abs(values[after] - values[before])
        close &= gap <= 3 + share * np.maximum(values[after], values[before])
    return close


def _telling(posts: pd.DataFrame, same: tuple[str, ...]) -> NDArray[np.bool_]:
    counters = [np.maximum(posts[name].to_numpy(dtype=np.float64), 1.0) for name in same]
    return np.asarray(np.prod(counters, axis=0) > SHARED_BELOW)


def _resolved(known: Ints, earlier: Ints) -> Ints:
    """Codes handed on from earlier posts; a post that continues none begins a new account."""
    codes = known.astype(np.int64)
    new = int(codes.max()) + 1
    for row in np.flatnonzero(codes < 0):
        if earlier[row] >= 0:
            codes[row] = codes[earlier[row]]
        else:
            codes[row], new = new, new + 1
    return codes
