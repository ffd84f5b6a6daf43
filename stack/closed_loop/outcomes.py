"""What came of the sessions: per day and arm, and how far one arm leads another, with 95 % intervals.

The unit is the reader, as what one reader does is alike: intervals draw whole readers with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stack.closed_loop.plan import ARMS
from training.formula import worth

RESAMPLES = 2000
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A mean over sessions and its 95 % interval; NaN where there is nothing to go by."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        return self.low > 0


@dataclass(frozen=True)
class DayOfArm:
    """What an arm's readers did on a day, per session: engagements, and the formula's sum of the labels."""

    day: int
    arm: str
    readers: int
    sessions: int
    engaged: Figure
    worth: Figure


@dataclass(frozen=True)
class Outcome:
    """One session: ``read`` tweets were read and ``engaged`` of them engaged with.

    ``requests`` are those that made it up; ``model`` ranked it, None where none did.

    ``expected`` has for each arm how many engagements its page would bring by the planted chances, its own
    arm's included; all of them were made at the same moment for the same reader.
    """

    day: int
    reader: int
    arm: str
    read: int
    engaged: int
    requests: tuple[str, ...]
    model: str | None
    expected: Mapping[str, float]


def labelled(outcomes: Sequence[Outcome], examples: pd.DataFrame, heads: Mapping[str, str]) -> pd.DataFrame:
    """One row per session: the outcome's own columns, ``would_<arm>`` of what is expected, and ``worth`` and
    ``label_<head>`` by the labels of its examples.

    Args:
        examples: training examples, with ``request_id`` and the labels.
        heads: the column of each head's label.
    """
    labels = {head: examples[column].to_numpy(np.float64) for head, column in heads.items()}
    named = {f"label_{head}": values for head, values in labels.items()}
    brought = pd.DataFrame({**named, "worth": worth(labels)}).groupby(examples["request_id"].to_numpy()).sum()
    rows = []
    for outcome in outcomes:
        known = brought.reindex(list(outcome.requests)).fillna(0.0).sum()
        would = {f"would_{arm}": value for arm, value in outcome.expected.items()}
        facts = {
            name: getattr(outcome, name) for name in ("day", "reader", "arm", "read", "engaged", "model")
        }
        rows.append(facts | known.to_dict() | would)
    return pd.DataFrame(rows)


def per_session(rows: pd.DataFrame, column: str, seed: int) -> Figure:
    """The mean of a column over sessions."""
    return _figure(*_mean(rows, column, seed))


def lead(rows: pd.DataFrame, first: str, second: str, column: str, seed: int) -> Figure:
    """How much more the first arm's readers brought per session than the second's; they are other readers."""
    ours, theirs = (
        _mean(rows[rows["arm"] == arm], column, seed + place) for place, arm in enumerate((first, second))
    )
    return _figure(ours[0] - theirs[0], ours[1] - theirs[1])


def adjusted_lead(
    rows: pd.DataFrame, before: pd.DataFrame, first: str, second: str, column: str, seed: int
) -> Figure:
    """:func:`lead`, less what the same readers' sessions ``before`` the arms differed say of it.

    The two arms' difference of then is taken off by the share in which it lasts, the slope of a reader's mean
    on the one of before within arms (CUPED: Deng et al., WSDM 2013). NaN where an arm has no such sessions.
    """
    slope = _slope(rows, before, column)
    (ours, our_draws), (theirs, their_draws) = (
        _less_before(rows[rows["arm"] == arm], before[before["arm"] == arm], column, slope, seed + place)
        for place, arm in enumerate((first, second))
    )
    return _figure(ours - theirs, our_draws - their_draws)


def paired_lead(rows: pd.DataFrame, first: str, second: str, seed: int) -> Figure:
    """How much more engagement the first arm's pages promise than the second's, session by session."""
    difference = rows[f"would_{first}"] - rows[f"would_{second}"]
    return per_session(rows.assign(difference=difference), "difference", seed)


def by_day(rows: pd.DataFrame, seed: int) -> list[DayOfArm]:
    """Every day and arm, in their order."""
    found = []
    for day in sorted(rows["day"].unique().tolist()):
        for arm in ARMS:
            part = rows[(rows["day"] == day) & (rows["arm"] == arm)]
            figures = [per_session(part, column, seed) for column in ("engaged", "worth")]
            found.append(DayOfArm(day, arm, part["reader"].nunique(), len(part), *figures))
    return found


def _mean(rows: pd.DataFrame, column: str, seed: int) -> tuple[float, Values]:
    """The mean of a column over sessions, and of ``RESAMPLES`` draws of the readers; NaN without sessions."""
    readers = rows.groupby("reader")[column].agg(["sum", "count"]).to_numpy(np.float64)
    if not len(readers):
        return np.nan, np.full(RESAMPLES, np.nan)
    drawn = _drawn(readers, seed)
    return float(readers[:, 0].sum() / readers[:, 1].sum()), drawn[:, 0] / drawn[:, 1]


def _less_before(
    rows: pd.DataFrame, before: pd.DataFrame, column: str, slope: float, seed: int
) -> tuple[float, Values]:
    """The mean of a column over sessions less ``slope`` times that of before, and the same of draws of the
    readers, each with both."""
    sums = [part.groupby("reader")[column].agg(["sum", "count"]) for part in (rows, before)]
    readers = pd.concat(sums, axis=1).fillna(0.0).to_numpy(np.float64)
    if not (len(rows) and len(before)):
        return np.nan, np.full(RESAMPLES, np.nan)
    drawn = _drawn(readers, seed)
    whole = readers.sum(axis=0)
    value = whole[0] / whole[1] - slope * whole[2] / whole[3]
    return float(value), drawn[:, 0] / drawn[:, 1] - slope * drawn[:, 2] / drawn[:, 3]


def _drawn(readers: Values, seed: int) -> Values:
    """The sums of the columns of ``readers`` [readers, n] in each of ``RESAMPLES`` draws of them."""
    share = np.full(len(readers), 1 / len(readers))
    return np.asarray(np.random.default_rng(seed).multinomial(len(readers), share, RESAMPLES) @ readers)


def _slope(rows: pd.DataFrame, before: pd.DataFrame, column: str) -> float:
    """Of readers' means on those of before, within arms; 0 where these do not differ."""
    means = [part.groupby(["arm", "reader"])[column].mean() for part in (rows, before)]
    both = pd.concat(means, axis=1, join="inner")
    after, earlier = (both - both.groupby("arm").transform("mean")).to_numpy(np.float64).T
    spread = float((earlier**2).sum())
    return float((after * earlier).sum()) / spread if spread else 0.0


def _figure(value: float, draws: Values) -> Figure:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Figure(value, float(low), float(high))
