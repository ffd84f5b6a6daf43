"""The promotion gate: what a model must show on held-out examples before it may serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.checks import PARITY, RecordedCheck
from training.comparison import Comparison
from training.evaluation import ModelReport
from training.manifest import ScoringCost
from training.settings import GateSettings

LIMITS = GateSettings()
UNSERVED = (
    "no served row was compared with the offline features: serve some feeds with the champion, then run "
    "`tideline features build` and `tideline features parity --version VERSION`"
)
"""Asked of a model beside a champion alone: before there is one, or for other features, nothing is served."""
TITLES = {"ndcg_10": "nDCG@10", "mrr": "MRR", "ap": "AP", "rce": "RCE"}


@dataclass(frozen=True)
class Evidence:
    """What the gate looks at; ``comparison`` is with the champion, None where there is none."""

    report: ModelReport
    comparison: Comparison | None
    cost: ScoringCost
    checks: Sequence[RecordedCheck]


def failures(evidence: Evidence, limits: GateSettings = LIMITS) -> list[str]:
    """Every guard that does not hold, one clause each; none of them for a model that may become champion."""
    found = floors(evidence.report, limits)
    if evidence.comparison is not None:
        found += worse(evidence.comparison, limits)
    # Written so that NaN fails, here and below.
    if not evidence.cost.ratio <= limits.scoring_ratio:
        found.append(
            f"scoring a page costs {evidence.cost.ratio:.2f} times one plain head, "
            f"above {limits.scoring_ratio:g}"
        )
    if not evidence.checks:
        found.append("no check of its data is recorded with it")
    elif evidence.comparison is not None and all(check.name != PARITY for check in evidence.checks):
        found.append(UNSERVED)
    failed = [check for check in evidence.checks if not check.passed]
    return found + [f"its {check.name} check failed: {check.detail}" for check in failed]


def floors(report: ModelReport, limits: GateSettings = LIMITS) -> list[str]:
    """What is asked of any model, champion or none.

    It must order the lists better than every baseline by nDCG@10, and each head must beat the base rate
    (RCE above 0) and be calibrated, or the weights of the score formula mean nothing.
    """
    found = []
    for name, baseline in report.baselines.items():
        if not report.model.ndcg_10.value > baseline.ndcg_10.value:
            found.append(
                f"nDCG@10 {report.model.ndcg_10.value:.4f} is not above {name}'s {baseline.ndcg_10.value:.4f}"
            )
    for head, part in report.heads.items():
        if not part.rce.value > 0:
            found.append(f"RCE of {head} is {part.rce.value:.2f}, no better than the base rate")
        if not part.calibration_error <= limits.calibration_error:
            found.append(
                f"calibration error of {head} is {part.calibration_error:.3f}, "
                f"above {limits.calibration_error:g}"
            )
    return found


def worse(comparison: Comparison, limits: GateSettings = LIMITS) -> list[str]:
    """The champion's heads that it lacks, and the guarded metrics whose interval of the paired difference
    reaches further below zero than its margin.

    The RCE is guarded of all heads together: that of a rare head is known too roughly to bar a model by.

    Non-inferiority: with little data the interval is wide, and the model is refused for want of evidence.
    """
    found = [f"it has no head {head}, which the champion has" for head in comparison.lacking]
    for name, paired in comparison.metrics.items():
        if name.endswith(".rce"):
            continue
        margin, lead = limits.margin(name), paired.difference
        if not lead.low >= -margin:
            known = "is worse" if lead.high < 0 else "may be worse"
            found.append(
                f"{title(name)} {known} than the champion's: {lead.value:+.4f} "
                f"({lead.low:+.4f} to {lead.high:+.4f}), margin {margin:g}"
            )
    return found


def sentence(reasons: Sequence[str]) -> str:
    return f"The model may not become champion: {'; '.join(reasons)}."


def title(metric: str) -> str:
    """How people call a metric of a comparison: ``engaged.ap`` is the AP of engaged."""
    head, _, name = metric.rpartition(".")
    return f"{TITLES[name]} of {head}" if head else TITLES[name]
