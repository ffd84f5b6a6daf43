"""What MLflow has of each head: a run below the training run, with the head's own figures and plots."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.card import Judged
from training.evaluation import HeadReport
from training.head_plots import gains, importance, shap_summary, shown_rows
from training.plots import reliability, save, slice_quality
from training.slice_report import SliceFigures
from training.tracking import RunRecord

HEAD_TAG = "head"
FIGURES = ("rows", "base_rate", "auc", "log_loss", "calibration_error")


def head_runs(folder: Path, judged: Judged) -> list[RunRecord]:
    """One record for each head; the plots are written below ``folder``.

    The contributions are of at most ``SHOWN_ROWS`` rows, spread over the test part.
    """
    bundle, test = judged.bundle, judged.split.test
    sample = test.matrix[shown_rows(len(test))]
    contributions = bundle.contributions(sample)
    found = []
    for head, report in judged.report.heads.items():
        labels, probabilities = test.labels(head), judged.scores.probabilities[head]
        own = [part for part in judged.slices if part.head == head]
        figures = {
            "reliability": reliability({head: labels}, {head: probabilities}),
            "gains": gains(head, labels, probabilities),
            "importance": importance(head, bundle.boosters[head]),
            "shap": shap_summary(head, bundle.features, sample, contributions[head][:, :-1]),
            "slices": slice_quality(own),
        }
        spec = bundle.manifest.heads[head]
        found.append(
            RunRecord(
                name=head,
                parameters={
                    "data_fingerprint": bundle.manifest.data_fingerprint,
                    "weight": spec.weight,
                    "calibration": type(spec.calibrator).__name__.lower(),
                    "grown_trees": bundle.boosters[head].num_trees(),
                    "linear_share": spec.linear.share if spec.linear else 0.0,
                    **asdict(judged.plan.head),
                },
                metrics=_metrics(report, own),
                tags={HEAD_TAG: head},
                plots=save(folder / head, figures),
            )
        )
    return found


def _metrics(report: HeadReport, slices: list[SliceFigures]) -> dict[str, float]:
    values = {name: getattr(report, name) for name in FIGURES}
    for name in ("ap", "rce"):
        interval = getattr(report, name)
        values |= {name: interval.value, f"{name}.low": interval.low, f"{name}.high": interval.high}
    # MLflow takes no comma in a name.
    values |= {f"rce/{part.slice.replace(',', '')}": part.rce.value for part in slices}
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}
