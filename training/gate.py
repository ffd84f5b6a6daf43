"""The promotion gate: what a model must show on the time split before it may serve."""

from __future__ import annotations

from training.evaluation import ModelReport

LARGEST_CALIBRATION_ERROR = 0.05


def refusal(report: ModelReport) -> str | None:
    """None for a model that may serve, else one sentence naming everything that failed.

    It must order the lists better than every baseline by nDCG@10, and each head must beat the base rate
    (RCE above 0) and be calibrated, or the weights of the score formula mean nothing.
    """
    failures = []
    for name, baseline in report.baselines.items():
        # Written so that NaN fails.
        if not report.model.ndcg_10.value > baseline.ndcg_10.value:
            failures.append(
                f"nDCG@10 {report.model.ndcg_10.value:.4f} is not above {name}'s {baseline.ndcg_10.value:.4f}"
            )
    for head, part in report.heads.items():
        if not part.rce.value > 0:
            failures.append(f"RCE of {head} is {part.rce.value:.2f}, no better than the base rate")
        if not part.calibration_error <= LARGEST_CALIBRATION_ERROR:
            failures.append(
                f"calibration error of {head} is {part.calibration_error:.3f}, "
                f"above {LARGEST_CALIBRATION_ERROR}"
            )
    return f"The model may not become champion: {'; '.join(failures)}." if failures else None
