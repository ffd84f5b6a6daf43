"""What the log says of a policy: every estimate beside the logged policy's own value, or one refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.estimates import Estimate
from training.off_policy import (
    Decisions,
    OffPolicyError,
    clipped_inverse_propensity,
    clipped_share,
    doubly_robust,
    doubly_robust_gain,
    effective_sample_size,
    inverse_propensity,
    logged_value,
    self_normalised,
)

LEAST_READERS = 30
LEAST_REWARDED = 15
"""So many of the rare actions that are the new policy's, too, are to be expected to bring something.

With fewer the intervals are too narrow: docs/off-policy.md has the figures.
"""
CLIP = 20.0
GAIN = "gain over logged"


@dataclass(frozen=True)
class OffPolicyReport:
    """``agreement``: share of decisions that the new policy would have taken as they were.

    ``estimates``: first what the log's policy was worth, then the new one by each estimator, then its gain.
    """

    decisions: int
    readers: int
    agreement: float
    estimates: Mapping[str, Estimate]
    effective_sample_size: float
    clip: float
    clipped_share: float


def report(decisions: Decisions, clip: float = CLIP) -> OffPolicyReport:
    """All estimates of the new policy.

    Raises:
        OffPolicyError: there are too few readers, or too few of the rare actions are the new policy's.
    """
    readers = len(np.unique(decisions.readers))
    if readers < LEAST_READERS:
        raise OffPolicyError(f"{readers:,} readers are too few for an interval: {LEAST_READERS} are needed.")
    _check_explored(decisions)
    estimates = {
        "logged policy": logged_value(decisions),
        "inverse propensity": inverse_propensity(decisions),
        "clipped": clipped_inverse_propensity(decisions, clip),
        "self-normalised": self_normalised(decisions),
        "doubly robust": doubly_robust(decisions),
        GAIN: doubly_robust_gain(decisions),
    }
    weights = decisions.weights
    return OffPolicyReport(
        decisions=len(decisions),
        readers=readers,
        agreement=float(decisions.chances.mean()),
        estimates=estimates,
        effective_sample_size=effective_sample_size(weights),
        clip=clip,
        clipped_share=clipped_share(weights, clip),
    )


def _check_explored(decisions: Decisions) -> None:
    rare = decisions.propensities <= 0.5
    taken = int((rare & (decisions.chances > 0)).sum())
    # By the rate of all decisions: whether to believe the rewards must not depend on the few that matter.
    rewarded = taken * float((decisions.rewards != 0).mean())
    unlike = taken or (decisions.chances < 1).any()
    if unlike and rewarded < LEAST_REWARDED:
        raise OffPolicyError(
            f"Of {int(rare.sum()):,} explored pages {taken:,} are as the new policy would have them, and "
            f"{rewarded:.1f} of these may have brought something: {LEAST_REWARDED} are needed."
        )


def lines(result: OffPolicyReport) -> list[str]:
    """The report as a person reads it."""
    text = [
        f"{result.decisions:,} contested slots of {result.readers:,} readers; "
        f"the model would leave {result.agreement:.1%} as they were"
    ]
    for name, found in result.estimates.items():
        sign = "+" if name == GAIN else ""
        text.append(f"{name:<20}{found.value:{sign}.5f} ({found.low:{sign}.5f} to {found.high:{sign}.5f})")
    return [
        *text,
        f"effective sample size {result.effective_sample_size:,.0f} · "
        f"clipping at {result.clip:g} takes {result.clipped_share:.1%} of the weight",
    ]


def shape(result: OffPolicyReport) -> dict[str, Any]:
    """The report as JSON has it; what is not known is null."""
    return {
        "decisions": result.decisions,
        "readers": result.readers,
        "agreement": result.agreement,
        "estimates": {name: _bounds(found) for name, found in result.estimates.items()},
        "effective_sample_size": result.effective_sample_size,
        "clip": result.clip,
        "clipped_share": result.clipped_share,
    }


def _bounds(found: Estimate) -> dict[str, float] | None:
    if math.isnan(found.value):
        return None
    return {"value": found.value, "low": found.low, "high": found.high}
