"""A mixed model of all that readers do with a row, fitted again as the log grows.

How much a row interests its reader is a sum: fixed effects of what is known of the row, and a random effect
of each of its keys. The label and every response measure that interest, each with an intercept, a slope (of
the label: 1) and a temper of the reader of its own:

    log-odds[r] = intercept[r] + temper[r, reader] + slope[r] * (weights . row + sum of effect[kind, key])

Effects are normal, their variances estimated from the log. Zhang et al., 2016, "GLMix: Generalized Linear
Mixed Models For Large-Scale Response Prediction", fit one response so; here means move by Newton steps, kind
by kind, and a fit starts from the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.ranking_log import Candidates
from features.running import Floats, Ints

EVERY_MS = 3_600_000
LEAST_ROWS, GROWTH = 100, 1.04
"""Labels that a first fit takes, and by how much they have grown when the next is due."""
FIRST_SWEEPS, SWEEPS = 30, 6
LEAST_VARIANCE, MOST_VARIANCE = 1e-3, 5.0
WEIGHTS_PENALTY = 10.0
USUAL_SLOPE, SLOPE_PENALTY = 0.6, 50.0
LEAST_SLOPE, MOST_SLOPE = 0.05, 3.0


def mixed_odds(
    rows: Candidates, keys: Mapping[str, Ints], known: NDArray[np.float64], responses: Sequence[Floats]
) -> Floats:
    """The log-odds of each row's label by the last fit before its ``counted``, float64 [n]; NaN before one.

    ``keys``: codes [n] per kind, negative where unknown. ``known``: what is known of the rows, [n, k], all
    finite. ``responses``: 0 or 1, [n] each, the label first, learned from once a judged row's label is known.

    Raises:
        ValueError: something known of a row, or a response of a judged one, is not finite.
    """
    judged = np.flatnonzero(rows.judged)
    order = judged[np.argsort(rows.known[judged], kind="stable")]
    odds = np.full(len(rows), np.nan)
    if len(order) < LEAST_ROWS:
        return odds
    learned = np.stack(responses)[:, order]
    if not (np.isfinite(known).all() and np.isfinite(learned).all()):
        raise ValueError("A mixed model needs finite features and responses.")
    model = _MixedModel(order, [*keys.values()], rows.user, known, learned)
    times = rows.known[order]
    asked = np.argsort(rows.counted, kind="stable")
    moments = rows.counted[asked]
    for moment in (np.unique(moments // EVERY_MS) * EVERY_MS).tolist():
        model.learn(int(np.searchsorted(times, moment)))
        start, end = np.searchsorted(moments, (moment, moment + EVERY_MS))
        if model.learned:
            odds[asked[start:end]] = model.odds(asked[start:end])
    return odds


class _Effects:
    """Normal effects of the keys of one kind: their common variance, and of each the mean and the spread.

    Keys are told apart by the order in which they were first learned from, so that sums over those seen are
    the same whatever comes later; the last place stands for all that are never learned from, and stays 0.
    """

    def __init__(self, keys: Ints, order: Ints) -> None:
        some, first = np.unique(keys[order], return_index=True)
        some, first = some[some >= 0], first[some >= 0]
        place = np.argsort(np.argsort(first))
        self.means = np.zeros(len(some) + 1)
        self.spreads = np.ones(len(some) + 1)
        self.variance = 1.0
        found = np.minimum(np.searchsorted(some, keys), max(len(some) - 1, 0))
        known = some[found] == keys if len(some) else np.zeros(len(keys), dtype=np.bool_)
        self.codes = np.where(known, place[found] if len(some) else 0, len(some))
        self._learned = self.codes[order]
        self._seen = np.maximum.accumulate(np.where(self._learned < len(some), self._learned + 1, 0))

    def of(self, count: int) -> Floats:
        """The mean effect on each of the first ``count`` rows learned from."""
        return np.asarray(self.means[self._learned[:count]])

    def uncertainty(self, count: int) -> Floats:
        """Its variance."""
        return np.asarray(self.spreads[self._learned[:count]])

    def step(self, gradient: Floats, least_curve: Floats, curve: Floats) -> Floats:
        """Moves the means towards the likeliest, by what each row [m] says; by how much each row's moved.

        ``least_curve`` is the curvature to step by, never too small for the step; ``curve`` the true one.
        """
        learned, size = self._learned[: len(gradient)], len(self.means)
        seen = int(self._seen[len(gradient) - 1])
        pull, brake, certainty = (
            np.bincount(learned, values, size)[:seen] for values in (gradient, least_curve, curve)
        )
        moved = np.zeros(size)
        moved[:seen] = (pull - self.means[:seen] / self.variance) / (brake + 1.0 / self.variance)
        self.means += moved
        self.spreads[:seen] = 1.0 / (certainty + 1.0 / self.variance)
        if seen:
            second_moment = float(np.mean(self.means[:seen] ** 2 + self.spreads[:seen]))
            self.variance = min(max(second_moment, LEAST_VARIANCE), MOST_VARIANCE)
        return np.asarray(moved[learned])


class _MixedModel:
    """All effects; ``labels`` are [responses, rows learned from], in the order these are."""

    def __init__(
        self, order: Ints, keys: Sequence[Ints], readers: Ints, known: NDArray[np.float64], labels: Floats
    ) -> None:
        count = len(labels)
        self.learned = 0
        self._labels, self._known, self._rows = labels, known, known[order]
        self._effects = [_Effects(codes, order) for codes in keys]
        self._tempers = [_Effects(readers, order) for _ in range(count)]
        self._intercepts = np.zeros(count)
        self._slopes = np.array([1.0, *[USUAL_SLOPE] * (count - 1)])
        self._weights = np.zeros(known.shape[1])

    def odds(self, places: Ints) -> Floats:
        """The log-odds of the label of the rows at ``places``, among all rows."""
        sums = self._intercepts[0] + self._known[places] @ self._weights
        for effects in (self._tempers[0], *self._effects):
            sums = sums + effects.means[effects.codes[places]]
        return np.asarray(sums)

    def learn(self, count: int) -> None:
        """Fits the first ``count`` rows, if they are enough more than those learned from last."""
        if count < max(LEAST_ROWS, self.learned * GROWTH):
            return
        if not self.learned:
            chance = np.clip(self._labels[:, :count].mean(axis=1), 1e-3, 1 - 1e-3)
            self._intercepts = np.log(chance / (1 - chance))
        interest = self._rows[:count] @ self._weights + sum(e.of(count) for e in self._effects)
        for _ in range(SWEEPS if self.learned else FIRST_SWEEPS):
            interest = self._sweep(interest)
        self.learned = count

    def _sweep(self, interest: Floats) -> Floats:
        """A step of every part in turn; ``interest`` after it."""
        count = len(interest)
        slopes = self._slopes[:, None]
        tempers = np.stack([temper.of(count) for temper in self._tempers])
        odds = self._intercepts[:, None] + slopes * interest + tempers
        for effects in self._effects:
            error, brake, curve = self._pull(odds)
            moved = effects.step(
                (slopes * error).sum(axis=0), (slopes**2 * brake).sum(axis=0), (slopes**2 * curve).sum(axis=0)
            )
            interest = interest + moved
            odds = odds + slopes * moved
        error, brake, curve = self._pull(odds)
        for temper, *pull in zip(self._tempers, error, brake, curve, strict=True):
            temper.step(*pull)
        tempers = np.stack([temper.of(count) for temper in self._tempers])
        self._measure(interest, tempers)
        return self._regress(interest, tempers)

    def _measure(self, interest: Floats, tempers: Floats) -> None:
        """Moves the intercepts, and the slopes of the responses. An effect's spread speaks against a slope:
        without it, slopes grow and effects shrink without end."""
        odds = self._intercepts[:, None] + self._slopes[:, None] * interest + tempers
        error, brake, curve = self._pull(odds)
        unsure = sum(effects.uncertainty(len(interest)) for effects in self._effects)
        self._intercepts[0] += error[0].sum() / brake[0].sum()
        for place in range(1, len(odds)):
            both = (brake[place] * interest).sum()
            square = (brake[place] * (interest**2 + unsure)).sum() + SLOPE_PENALTY
            slope = self._slopes[place]
            pull = (error[place] * interest).sum() - slope * (curve[place] * unsure).sum()
            pull -= SLOPE_PENALTY * (slope - USUAL_SLOPE)
            moved = np.linalg.solve([[brake[place].sum(), both], [both, square]], [error[place].sum(), pull])
            self._intercepts[place] += moved[0]
            self._slopes[place] = min(max(slope + moved[1], LEAST_SLOPE), MOST_SLOPE)

    def _regress(self, interest: Floats, tempers: Floats) -> Floats:
        """Moves the weights of what is known of the rows; the interest after it."""
        slopes = self._slopes[:, None]
        error, brake, _ = self._pull(self._intercepts[:, None] + slopes * interest + tempers)
        rows = self._rows[: len(interest)]
        square = (rows * (slopes**2 * brake).sum(axis=0)[:, None]).T @ rows
        pull = rows.T @ (slopes * error).sum(axis=0) - WEIGHTS_PENALTY * self._weights
        moved = np.linalg.solve(square + WEIGHTS_PENALTY * np.eye(rows.shape[1]), pull)
        self._weights = self._weights + moved
        return np.asarray(interest + rows @ moved)

    def _pull(self, odds: Floats) -> tuple[Floats, Floats, Floats]:
        """Per response and row the error, the curvature to step by, and the true one.

        Where a chance is near 0 or 1 the true one is too small to step by; half of the bound of Jaakkola and
        Jordan, 2000, "Bayesian parameter estimation via variational methods", keeps steps short.
        """
        chance = expit(odds)
        size = np.maximum(np.abs(odds), 1e-3)
        curve = chance * (1.0 - chance)
        brake = np.maximum(curve, np.tanh(size / 2.0) / (4.0 * size))
        return self._labels[:, : odds.shape[1]] - chance, brake, curve
