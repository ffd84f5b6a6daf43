"""Calibration: maps what a head says to the rate that was seen at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]

BINS = 100
SMALLEST, LARGEST = 1e-5, 0.99
LEAST_SLOPE = 1e-3
LEAST_GAIN = 0.005
"""A head must lower the log loss of the base rate by this share: an RCE of 0.5."""
LEAST_FOR_ISOTONIC = 100
"""Isotonic regression overfits a few labels: of fewer than these of a kind only Platt's map is fitted."""
CLIP = 1e-15


class Isotonic(msgspec.Struct, frozen=True, tag_field="kind", tag="isotonic"):
    """A piecewise linear map of raw probabilities through the knots ``(x, y)``; flat before and after them.

    Raises:
        ValueError: fewer than two knots, or ``x`` not increasing, or ``y`` falling or outside [0, 1].
    """

    of_log_odds: ClassVar[bool] = False
    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x), np.asarray(self.y)
        if len(x) != len(y) or len(x) < 2:
            raise ValueError("A calibrator needs two or more knots, each with an x and a y.")
        if not (np.all(np.diff(x) > 0) and np.all(np.diff(y) >= 0) and y[0] >= 0 and y[-1] <= 1):
            raise ValueError("A calibrator's knots must rise from left to right within 0 and 1.")

    def apply(self, raw: Array) -> Array:
        """Calibrated probabilities of raw ones; NaN stays NaN."""
        return np.interp(raw, self.x, self.y)


class Platt(msgspec.Struct, frozen=True, tag_field="kind", tag="platt"):
    """Platt's map of raw log-odds, 1 / (1 + exp(-(slope * raw + offset))): it ties and bounds nothing.

    Raises:
        ValueError: a slope that is not positive.
    """

    of_log_odds: ClassVar[bool] = True
    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not (self.slope > 0 and np.isfinite([self.slope, self.offset]).all()):
            raise ValueError("A calibration must rise with what it calibrates.")

    def apply(self, raw: Array) -> Array:
        """Calibrated probabilities of raw log-odds; NaN stays NaN."""
        return np.asarray(expit(self.slope * raw + self.offset))


Calibrator = Isotonic | Platt


@dataclass(frozen=True)
class Choice:
    """A calibrator, and the log losses that its kind was chosen by: of rows that none had been fitted on.

    ``base_rate`` among the ``losses`` is that of the mean of the rows fitted on. They are empty where there
    was too little to compare by. ``learned`` is whether the head says more than the mean does; it does where
    there was too little to tell.
    """

    calibrator: Calibrator
    losses: Mapping[str, float]
    learned: bool


def choose(log_odds: Array, labels: Array, earlier: NDArray[np.bool_]) -> Choice:
    """Isotonic or Platt for a head, by what the rest of the rows says of each fitted on the ``earlier`` ones.

    The kind that wins is fitted on all rows. Platt, which has but two figures to learn, is taken where the
    earlier rows have fewer than ``LEAST_FOR_ISOTONIC`` labels of a kind, or the rest has labels of one kind.

    Raises:
        ValueError: no examples, or only one kind of label.
    """
    fewest = _rarer(labels[earlier])
    if min(fewest, _rarer(labels[~earlier])) == 0:
        return Choice(fit_platt(log_odds, labels), {}, learned=True)
    chances, later = expit(log_odds), labels[~earlier]
    losses = {
        "platt": _log_loss(later, fit_platt(log_odds[earlier], labels[earlier]).apply(log_odds[~earlier])),
        "base_rate": _log_loss(later, np.full(len(later), labels[earlier].mean())),
    }
    if fewest >= LEAST_FOR_ISOTONIC:
        isotonic = fit_isotonic(chances[earlier], labels[earlier])
        losses["isotonic"] = _log_loss(later, isotonic.apply(chances[~earlier]))
    best = "isotonic" if losses.get("isotonic", np.inf) < losses["platt"] else "platt"
    fitted = fit_isotonic(chances, labels) if best == "isotonic" else fit_platt(log_odds, labels)
    # By Platt's map, whichever wins: the better of two flatters a head that knows nothing.
    return Choice(fitted, losses, learned=losses["platt"] < (1 - LEAST_GAIN) * losses["base_rate"])


def _rarer(labels: Array) -> int:
    """How many 0/1 labels there are of the kind of which there are fewer."""
    positives = int(labels.sum())
    return min(positives, len(labels) - positives)


def _log_loss(labels: Array, chances: Array) -> float:
    clipped = np.clip(chances, CLIP, 1 - CLIP)
    return float(-(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped)).mean())


def fit_platt(raw: Array, labels: Array) -> Platt:
    """Platt's calibration of raw log-odds [n] against 0/1 labels [n], by maximum likelihood.

    Log-odds that say nothing of the labels, or the opposite, all become nearly the labels' mean.

    Raises:
        ValueError: no examples, or only one kind of label.
    """
    # Not at the top: serving only applies calibrators, and scikit-learn takes seconds to load.
    from sklearn.linear_model import LogisticRegression

    if len(raw) == 0 or labels.min() == labels.max():
        raise ValueError("Calibration needs examples of both kinds.")
    model = LogisticRegression(C=1e6).fit(raw[:, None], labels)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < LEAST_SLOPE:
        mean = float(labels.mean())
        slope, offset = LEAST_SLOPE, float(np.log(mean / (1 - mean)) - LEAST_SLOPE * raw.mean())
    return Platt(slope, offset)


def fit_isotonic(raw: Array, labels: Array, bins: int = BINS) -> Isotonic:
    """Isotonic calibration of raw probabilities [n] against 0/1 labels [n], made to rise everywhere.

    Plain isotonic regression is a staircase whose steps tie candidates that the model told apart. Here a step
    rises by ``LEAST_SLOPE`` along its width, so the model's order within a list is kept. Examples are first
    put into ``bins`` bins of equal size: no step stands on a handful of rows.

    Raises:
        ValueError: no examples, or only one kind of label.
    """
    # Not at the top: serving only applies calibrators, and scikit-learn takes seconds to load.
    from sklearn.isotonic import IsotonicRegression

    if len(raw) == 0 or labels.min() == labels.max():
        raise ValueError("Calibration needs examples of both kinds.")
    order = np.argsort(raw, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    weight = np.array([len(part) for part in parts], dtype=np.float64)
    x = np.array([raw[part].mean() for part in parts])
    rate = np.array([labels[part].mean() for part in parts])
    rising = IsotonicRegression(y_min=0.0, y_max=1.0)
    steps = rising.fit_transform(x, rate, sample_weight=weight)
    smoothed = _smoothed(steps, weight, float(labels.mean()))
    # Where it has changed, a step may stand above the next.
    steps = rising.fit_transform(x, smoothed, sample_weight=weight)
    knots_x, knots_y = [0.0], [SMALLEST]
    for value in np.unique(steps):
        inside = x[steps == value]
        for knot in (inside[0], inside[-1]):
            if knots_x[-1] < knot < 1.0:
                least = knots_y[-1] + LEAST_SLOPE * (knot - knots_x[-1])
                knots_x.append(float(knot))
                knots_y.append(float(max(min(value, LARGEST), least)))
    return Isotonic((*knots_x, 1.0), (*knots_y, 1.0))


def _smoothed(steps: Array, weight: Array, mean: float) -> Array:
    """The steps' rates; one of 0 or 1 is drawn to the mean, by as many examples as have one rarer label.

    A step of three hundred rows without an engagement is no proof that there is never one, and a chance of
    nearly none costs a log loss dearly the first time that it is wrong.
    """
    prior = 1.0 / min(mean, 1.0 - mean)
    _, step = np.unique(steps, return_inverse=True)
    rows = np.bincount(step, weights=weight)[step]
    drawn = (rows * steps + prior * mean) / (rows + prior)
    return np.where((steps <= 0.0) | (steps >= 1.0), drawn, steps)
