"""Which posts are of one account where ids are missing: public counters change little between posts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.running import Ints

SAME = (
    ("mentions_code",),
    ("friends", "followers", "favourites"),
    ("friends", "followers"),
    ("friends", "favourites", "listed"),
    ("followers", "favourites", "listed"),
    ("friends", "listed"),
)
DAY_MS = 86_400_000
SHARED_BELOW = 50.0
"""What the product of an account's counters must exceed to tell it apart."""


def account_codes(posts: pd.DataFrame) -> Ints:
    """A code per account, int64 [n], from posts in order of time with ``user_id``, ``time`` and the counters.

    A post without an id belongs to the account of the nearest earlier post that has the same counters in one
    of the groups of ``SAME``, with the others close and no more new statuses than one can write in that time.
    Only earlier posts are looked at, so that a later one changes nothing.
    """
    earlier = np.full(len(posts), -1)
    for same in SAME:
        group = posts.groupby(list(same), sort=False).ngroup().to_numpy()
        order = np.lexsort((np.arange(len(posts)), group))
        before, after = order[:-1], order[1:]
        fits = (group[before] == group[after]) & _close(posts, before, after) & _telling(posts, same)[after]
        open_ = earlier[after] < 0
        earlier[after[fits & open_]] = before[fits & open_]
    return _resolved(pd.factorize(posts["user_id"])[0], earlier)


def _close(posts: pd.DataFrame, before: Ints, after: Ints) -> NDArray[np.bool_]:
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
    """Small counters are shared by many accounts."""
    counters = [np.maximum(posts[name].to_numpy(dtype=np.float64), 1.0) for name in same]
    return np.asarray(np.prod(counters, axis=0) > SHARED_BELOW)


def _resolved(known: Ints, earlier: Ints) -> Ints:
    codes = known.astype(np.int64).copy()
    new = int(codes.max()) + 1
    for row in np.flatnonzero(codes < 0):
        if earlier[row] >= 0:
            codes[row] = codes[earlier[row]]
        else:
            codes[row], new = new, new + 1
    return codes
