"""What people's clients report of what they were shown: openings, long looks, hides and reports.

Drawn after the world is, from the chances of its engagements and from tempers of its own: a world without
these reports is the same in every other file.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc

import numpy as np
from numpy.typing import NDArray

from ingestion.events import LONG_DWELL_MS
from ingestion.world.people import Floats, Ints
from ingestion.world.plan import Reporting, WorldPlan

SHORTEST_MS = 5_000
"""A client reports no shorter look than this: there is one for every item shown."""
MILLISECONDS_PER_ITEM = 3_000
REPORTED_SHARE = 0.15
"""Of those who hide an item, so many report it instead."""


@dataclass(frozen=True)
class Tempers:
    """Arrays over users, standard normal: how readily each opens, looks for long, and hides."""

    curiosity: Floats
    patience: Floats
    irritability: Floats


@dataclass(frozen=True)
class ReportChances:
    """For each item shown, how likely its reader was to open it, to look for long, and to hide or report it.

    ``look_ms`` is the median of the time looked at it.
    """

    opened: Floats
    dwelt: Floats
    hidden: Floats
    look_ms: Floats


def make_tempers(users: int, rng: np.random.Generator) -> Tempers:
    """Draw the tempers."""
    return Tempers(*rng.normal(0.0, 1.0, (3, users)))


def report_chances(
    weights: Reporting, tempers: Tempers, reader: Ints, p_engaged: Floats, followed: NDArray[np.bool_]
) -> ReportChances:
    """What follows from the chance to engage and the reader's tempers.

    Args:
        weights: of the world's plan.
        tempers: of its people.
        reader: index of each item's reader, int64 [n].
        p_engaged: the chance that the item is engaged with, float64 [n].
        followed: whether the reader followed the author, bool [n].
    """
    odds = np.log(p_engaged) - np.log1p(-p_engaged)
    look = (
        np.log(weights.look_ms)
        + weights.look_interest * odds
        + weights.look_patience * tempers.patience[reader]
    )
    return ReportChances(
        opened=_logistic(
            weights.open_intercept
            + weights.open_interest * odds
            + weights.open_curiosity * tempers.curiosity[reader]
        ),
        dwelt=_upper_tail((np.log(LONG_DWELL_MS) - look) / weights.look_spread),
        hidden=_logistic(
            weights.hide_intercept
            + weights.hide_interest * odds
            + weights.hide_irritability * tempers.irritability[reader]
            + weights.hide_stranger * ~followed
        ),
        look_ms=np.exp(look),
    )


def make_reports(
    plan: WorldPlan, chances: ReportChances, position: Ints, shown_ms: Ints, rng: np.random.Generator
) -> tuple[Ints, list[str], list[int | None], Ints]:
    """The reports: which item each is of, its action, its milliseconds (of a dwell), and its time."""
    count = len(position)
    opened, hidden, complained, looked = rng.random((4, count))
    # The upper tail of the same draw that the chance of a long look is the integral of.
    look_ms = np.exp(np.log(chances.look_ms) + plan.reporting.look_spread * rng.normal(0.0, 1.0, count))
    look_ms = np.minimum(look_ms, 10 * 60_000).astype(np.int64)
    seen_ms = shown_ms + position * MILLISECONDS_PER_ITEM + (looked * 2000).astype(np.int64)
    kinds = (
        (opened < chances.opened, "open", seen_ms + 1000),
        (look_ms >= SHORTEST_MS, "dwell", seen_ms + look_ms),
        ((hidden < chances.hidden) & (complained >= REPORTED_SHARE), "hide", seen_ms + 1500),
        ((hidden < chances.hidden) & (complained < REPORTED_SHARE), "report", seen_ms + 1500),
    )
    items = [np.flatnonzero(made) for made, _, _ in kinds]
    item: Ints = np.concatenate(items)
    at: Ints = np.minimum(
        np.concatenate([times[rows] for rows, (_, _, times) in zip(items, kinds, strict=True)]),
        plan.end_ms - 1,
    )
    actions = [action for rows, (_, action, _) in zip(items, kinds, strict=True) for _ in rows]
    order = np.lexsort((item, at))
    looks = look_ms[item].tolist()
    return (
        item[order],
        [actions[row] for row in order],
        [looks[row] if actions[row] == "dwell" else None for row in order],
        at[order],
    )


def _logistic(odds: Floats) -> Floats:
    chance: Floats = 1 / (1 + np.exp(-odds))
    return chance


def _upper_tail(deviations: Floats) -> Floats:
    """The chance that a normal draw lies above so many standard deviations."""
    tail: Floats = 0.5 * np.vectorize(erfc, otypes=[np.float64])(deviations / np.sqrt(2.0))
    return tail
