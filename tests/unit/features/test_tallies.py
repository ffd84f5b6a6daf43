"""Which view a kind of tally fills, and with what."""

from __future__ import annotations

import numpy as np
import pytest

from features.aggregates import ACCOUNT, SHOWING, TWEET, TallyKind, add
from features.tallies import CLICK_PRIOR, PRIOR_WEIGHT, TALLIED, values_of

NOW = 1_700_000_000_000


def tally(kind: TallyKind, **counts: int) -> np.ndarray:
    one = kind.empty(1)
    slots = np.repeat([kind.slot(name) for name in counts], list(counts.values()))
    zeros = np.zeros(len(slots), dtype=np.int64)
    add(kind, one, zeros, slots, zeros + 1, zeros + NOW)
    return one


@pytest.mark.parametrize("kind", TALLIED)
def test_every_kind_fills_the_columns_of_its_view(kind: TallyKind) -> None:
    assert values_of(kind, kind.empty(3)).shape == (3, len(TALLIED[kind].columns))


def test_a_tweets_row_has_its_counts_and_then_its_windows() -> None:
    values = dict(
        zip(TALLIED[TWEET].columns, values_of(TWEET, tally(TWEET, likes=3, quotes=1))[0], strict=True)
    )
    assert values["tweet_likes"] == 3
    assert values["tweet_quotes"] == 1
    assert values["tweet_engagements_10m"] == values["tweet_engagements_24h"] == 4


def test_the_click_rate_is_smoothed_and_known_before_anything_was_shown() -> None:
    columns = TALLIED[SHOWING].columns
    shown = dict(zip(columns, values_of(SHOWING, tally(SHOWING, impressions=10, clicks=4))[0], strict=True))
    rate = (4 + PRIOR_WEIGHT * CLICK_PRIOR) / (10 + PRIOR_WEIGHT)
    assert shown["tweet_click_rate"] == pytest.approx(rate)
    assert (shown["tweet_impressions_1h"], shown["tweet_clicks_1h"]) == (10, 4)
    assert values_of(SHOWING, SHOWING.empty(1))[0, 2] == pytest.approx(CLICK_PRIOR)


def test_an_authors_row_has_what_was_received_and_not_the_follows() -> None:
    row = values_of(ACCOUNT, tally(ACCOUNT, followers=9, received=2))[0]
    assert row.tolist() == [2, 2, 2, 2]
