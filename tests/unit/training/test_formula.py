"""The score formula: order kept, never below zero, never a number where none is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.formula import FLOOR, combine

WEIGHTS = {"engaged": 0.5, "retweeted": 1.0, "hidden": -4.0}
chances = st.floats(0.0, 1.0)


def scored(engaged: float, retweeted: float, hidden: float) -> float:
    rows = {"engaged": engaged, "retweeted": retweeted, "hidden": hidden}
    return float(combine({head: np.array([value]) for head, value in rows.items()}, WEIGHTS)[0])


def test_the_score_is_the_weighted_sum_above_the_floor() -> None:
    assert scored(0.2, 0.1, 0.0) == pytest.approx(0.2 + FLOOR)


@given(chances, chances, chances)
def test_a_score_is_never_negative_so_that_no_penalty_can_raise_it(e: float, r: float, h: float) -> None:
    score = scored(e, r, h)
    assert score >= 0
    assert score * 0.2 <= score


@given(st.tuples(chances, chances, chances), st.tuples(chances, chances, chances))
def test_the_order_is_that_of_the_weighted_sums(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> None:
    sums = [sum(w * p for w, p in zip(WEIGHTS.values(), row, strict=True)) for row in (one, other)]
    if sums[0] < sums[1] - 1e-9:
        assert scored(*one) < scored(*other)


def test_a_net_negative_row_stands_below_every_other() -> None:
    assert scored(0.1, 0.1, 0.9) < scored(0.0, 0.0, 0.0)


def test_an_unscored_row_stays_unscored() -> None:
    assert np.isnan(scored(0.1, float("nan"), 0.0))


def test_a_head_without_a_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="one weight for each head"):
        combine({"engaged": np.ones(1)}, {"retweeted": 1.0})
