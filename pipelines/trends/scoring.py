"""How much more a term is used than its own history lets one expect.

The history of a term in a place is its authors per pane, for the panes that have left the window: mean and
variance with exponentially falling weights, kept as two moments, so that a pane without the term costs
nothing (it multiplies both). The score is the significance of SigniTrend (Schubert, Weiler, Kriegel:
"SigniTrend: scalable detection of emerging topics in textual streams by hashed significance thresholds",
KDD 2014), with the Poisson variance as the least:

    score = (authors - max(expected, BIAS)) / (sqrt(max(variance, expected)) + BIAS)

Squared, and without variance and bias, it is the (observed - expected)^2 / expected of Mastodon's trends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BIAS = 1.0
"""Keeps a few authors without a history from looking like a burst."""


@dataclass(frozen=True)
class Moments:
    """[n] weighted first and second moment of the authors per pane; ``weight`` of all panes seen, 0 to 1."""

    first: Floats
    second: Floats
    weight: float


def decay(half_life: int) -> float:
    """The factor from one pane to the next."""
    return float(0.5 ** (1.0 / half_life))


def weight_of(panes: int, half_life: int) -> float:
    """The weight of so many panes of history, of 1 for infinitely many."""
    return 1.0 - decay(half_life) ** max(panes, 0)


def expected(
    moments: Moments, panes: int, authors: Floats, count: Floats, activity: Floats
) -> tuple[Floats, Floats]:
    """Expected authors in a window of ``panes`` panes, and their variance; zeros without a history.

    A pane counts its authors, and somebody who comes back in another pane counts there again: the ratio of
    ``authors`` to ``count`` of the window brings the sum of panes to distinct authors. ``activity`` is how
    much more is written in the place now than on average, which takes the rhythm of the day out.
    """
    if moments.weight <= 0:
        return np.zeros(len(authors)), np.zeros(len(authors))
    scale = activity * authors / np.maximum(count, 1)
    mean = moments.first / moments.weight
    variance = np.maximum(moments.second / moments.weight - mean**2, 0)
    return panes * mean * scale, panes * variance * scale**2


def score(authors: Floats, mean: Floats, variance: Floats) -> Floats:
    """[n] the formula above; 0 for a term that did not grow."""
    over = authors - np.maximum(mean, BIAS)
    result: Floats = np.maximum(over, 0) / (np.sqrt(np.maximum(variance, mean)) + BIAS)
    return result
