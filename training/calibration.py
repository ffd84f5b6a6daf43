"""Calibration: maps a head's raw probability to the rate that was seen at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 100
SMALLEST, LARGEST = 1e-5, 0.99
LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Calibrator:
    """A piecewise linear map through the knots ``(x, y)``; flat before the first and after the last.

    Raises:
        ValueError: fewer than two knots, or ``x`` not increasing, or ``y`` falling or outside [0, 1].
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x), np.asarray(self.y)
        if len(x) != len(y) or len(x) < 2:
            raise ValueError("A calibrator needs two or more knots, each with an x and a y.")
        if not (np.all(np.diff(x) > 0) and np.all(np.diff(y) >= 0) and y[0] >= 0 and y[-1] <= 1):
            raise ValueError("A calibrator's knots must rise from left to right within 0 and 1.")

    def apply(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities of raw ones; NaN stays NaN."""
        return np.interp(raw, self.x, self.y)


@dataclass(frozen=True)
class Platt:
    """Platt's map of raw log-odds, 1 / (1 + exp(-(slope * raw + offset))): it ties and bounds nothing.

    Raises:
        ValueError: a slope that is not positive.
    """

    slope: float
    offset: float

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError("A calibration must rise with what it calibrates.")

    def apply(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities of raw log-odds; NaN stays NaN."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * raw + self.offset))))


def fit_platt(raw: NDArray[np.float64], labels: NDArray[np.float64]) -> Platt:
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


def fit_isotonic(raw: NDArray[np.float64], labels: NDArray[np.float64], bins: int = BINS) -> Calibrator:
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
    steps = IsotonicRegression(y_min=0.0, y_max=1.0).fit(x, rate, sample_weight=weight).predict(x)
    knots_x, knots_y = [0.0], [SMALLEST]
    for value in np.unique(steps):
        inside = x[steps == value]
        for knot in (inside[0], inside[-1]):
            if knots_x[-1] < knot < 1.0:
                least = knots_y[-1] + LEAST_SLOPE * (knot - knots_x[-1])
                knots_x.append(float(knot))
                knots_y.append(float(max(min(value, LARGEST), least)))
    return Calibrator((*knots_x, 1.0), (*knots_y, 1.0))
