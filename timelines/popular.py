"""The tweets that gather most engagement now: one sorted set, kept short.

Engagement decays by exp(-age / TAU). With that decay two tweets never change places without new engagement,
so a score need not be renewed: ln(engagements at a moment) + moment / TAU stays the same as time goes by.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from timelines.entry import Ids
from timelines.keys import Keyspace

TAU_MS = 86_400_000
"""The lifetime of an engagement: that of the features' window of 24 hours."""
KEPT = 500
OFFERED = 50
"""Of one batch of changed tweets, how many are offered at most."""


def offer(pipe: Any, keys: Keyspace, tweets: Ids, engagements: NDArray[np.float64], at_ms: Ids) -> None:
    """Queue tweets of which the decayed engagements at a moment are known; two commands.

    Only a better score replaces a stored one: offers may be repeated and come in any order.
    """
    known = np.flatnonzero(engagements > 0)
    score = np.log(engagements[known]) + at_ms[known] / TAU_MS
    best = np.argsort(-score, kind="stable")[:OFFERED]
    if len(best):
        names = map(str, tweets[known[best]].tolist())
        pipe.zadd(keys.popular(), dict(zip(names, score[best].tolist(), strict=True)), gt=True)
        pipe.zremrangebyrank(keys.popular(), 0, -KEPT - 1)


def queue(pipe: Any, keys: Keyspace, count: int) -> None:
    """Queue the read of the ``count`` most popular; its answer is for :func:`decode`."""
    pipe.zrange(keys.popular(), -count, -1)


def decode(members: list[bytes]) -> Ids:
    """Tweet ids, the most popular first."""
    return np.array([int(member) for member in reversed(members)], dtype=np.int64)
