"""Off-policy evaluation: what a new policy is worth, from what another one showed with known chances.

A decision is one of few actions in a context; the log has the action taken, its propensity and its reward.
With weights w = (chance that the new policy takes the logged action) / (its propensity), over n decisions:

- inverse propensity: sum(w r) / n (Horvitz and Thompson, 1952);
- clipped: sum(min(w, M) r) / n; steadier, and too low where rewards are positive (Ionides, 2008);
- self-normalised: sum(w r) / sum(w); weights are 1 on average (Swaminathan and Joachims, 2015);
- doubly robust: sum(expected + w (r - predicted)) / n (Dudik, Langford and Li, 2011), where ``predicted`` is
  a reward model's value of the logged action, ``expected`` its mean over the new policy's actions.

The first and the last are unbiased if the propensities are right, whatever the reward model says. Errors are
over readers, by the delta method (``training.estimates.rate``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.estimates import Estimate, Values, rate


class OffPolicyError(ValueError):
    """The log cannot say what the new policy is worth; the message is one sentence."""


@dataclass(frozen=True)
class Decisions:
    """n logged decisions, and a new policy for each of them; arrays are float64 [n].

    ``readers`` int64 [n]: decisions of one reader are alike. ``rewards``: of the actions taken.
    ``propensities``: the chance that each had to be taken, above 0. ``chances``: the same by the new policy.
    ``predicted`` and ``expected``: the reward model's, of the action taken and of the new policy.

    Raises:
        OffPolicyError: there are no decisions, or a propensity is missing or none.
    """

    readers: NDArray[np.int64]
    rewards: Values
    propensities: Values
    chances: Values
    predicted: Values
    expected: Values

    def __post_init__(self) -> None:
        count, propensities = len(self.propensities), self.propensities
        if not count:
            raise OffPolicyError("There are no decisions to learn from.")
        if missing := int(np.isnan(propensities).sum()):
            raise OffPolicyError(f"The propensity is missing in {missing:,} of {count:,} decisions.")
        if wrong := int(((propensities <= 0) | (propensities > 1)).sum()):
            raise OffPolicyError(
                f"The propensity is not above 0 and at most 1 in {wrong:,} of {count:,} decisions."
            )

    def __len__(self) -> int:
        return len(self.rewards)

    @cached_property
    def weights(self) -> Values:
        """[n]; 1 on average."""
        return self.chances / self.propensities

    @cached_property
    def doubly_robust_values(self) -> Values:
        """[n], whose mean is the doubly robust estimate."""
        return self.expected + self.weights * (self.rewards - self.predicted)

    @cached_property
    def _reader(self) -> NDArray[np.intp]:
        return np.asarray(np.unique(self.readers, return_inverse=True)[1])

    def mean(self, values: Values) -> Estimate:
        """The mean of values [n] over all decisions."""
        return self.ratio(values, np.ones(len(self)))

    def ratio(self, numerators: Values, denominators: Values) -> Estimate:
        """Sum over sum, of [n] each; the error is over readers."""
        return rate(self._per_reader(numerators), self._per_reader(denominators))

    def _per_reader(self, values: Values) -> Values:
        return np.asarray(np.bincount(self._reader, values), dtype=np.float64)


def logged_value(decisions: Decisions) -> Estimate:
    """What the log's own policy was worth."""
    return decisions.mean(decisions.rewards)


def inverse_propensity(decisions: Decisions) -> Estimate:
    return decisions.mean(decisions.weights * decisions.rewards)


def clipped_inverse_propensity(decisions: Decisions, clip: float) -> Estimate:
    """No weight above ``clip``."""
    return decisions.mean(np.minimum(decisions.weights, clip) * decisions.rewards)


def self_normalised(decisions: Decisions) -> Estimate:
    """Unknown where the new policy would have done nothing of what was done."""
    return decisions.ratio(decisions.weights * decisions.rewards, decisions.weights)


def doubly_robust(decisions: Decisions) -> Estimate:
    return decisions.mean(decisions.doubly_robust_values)


def doubly_robust_gain(decisions: Decisions) -> Estimate:
    """How much more than the log's own policy, decision by decision."""
    return decisions.mean(decisions.doubly_robust_values - decisions.rewards)


def effective_sample_size(weights: Values) -> float:
    """(sum w)^2 / sum w^2 (Kong, 1992): so many decisions of the new policy itself would say as much."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def clipped_share(weights: Values, clip: float) -> float:
    """The share of all weight that clipping takes away."""
    total = float(weights.sum())
    return 1 - float(np.minimum(weights, clip).sum()) / total if total else 0.0
