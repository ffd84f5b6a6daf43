"""From tallies to feature rows: which view a kind of tally fills, and with what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.aggregates import ACCOUNT, SHOWING, TWEET, TallyKind, smoothed_rate
from features.names import AUTHOR_ENGAGEMENT, TWEET_ENGAGEMENT, TWEET_SHOWINGS, View
from features.rows import FloatMatrix

TALLIED: dict[TallyKind, View] = {
    TWEET: TWEET_ENGAGEMENT,
    SHOWING: TWEET_SHOWINGS,
    ACCOUNT: AUTHOR_ENGAGEMENT,
}
# What is believed of a tweet's click rate before it was shown, and how many showings that is worth.
CLICK_PRIOR = 0.03
PRIOR_WEIGHT = 20.0


def values_of(kind: TallyKind, tallies: NDArray[np.void]) -> FloatMatrix:
    """The columns of ``TALLIED[kind]``, float32 [n, columns], as of each tally's version."""
    totals = tallies["counts"]
    if kind == ACCOUNT:
        totals = totals[:, [kind.slots.index("received")]]
    columns = [totals, tallies["recent"].reshape(len(tallies), -1)]
    if kind == SHOWING:
        columns.insert(1, smoothed_rate(totals[:, 1], totals[:, 0], CLICK_PRIOR, PRIOR_WEIGHT)[:, None])
    return np.asarray(np.concatenate(columns, axis=1), dtype=np.float32)
