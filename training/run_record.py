"""What a training run leaves in MLflow: its parameters, figures, plots and card, and below it each head's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np

from features.names import MODEL_INPUT
from training.bundle import Bundle
from training.card import Judged, model_card
from training.evaluation import ModelReport
from training.feast_link import FEATURES_FILE, feast_tags, features_file
from training.gate import sentence
from training.head_runs import head_runs
from training.manifest import ScoringCost
from training.plots import write_plots
from training.tracking import DataRecord, RunRecord

CARD_FILE = "model_card.md"


def training_record(folder: Path, judged: Judged, namespace: str) -> RunRecord:
    """The record, its plots written below ``folder``; ``namespace`` is where the examples are from."""
    manifest, test = judged.bundle.manifest, judged.split.test
    return RunRecord(
        name=manifest.data_fingerprint[:12],
        parameters=_parameters(judged) | _head_parameters(judged.bundle),
        metrics=_metrics(judged.report, judged.cost),
        tags={
            **{f"left_out.{head}": why for head, why in manifest.left_out.items()},
            "gate": sentence(judged.reasons) if judged.reasons else "not asked yet",
            **feast_tags(namespace),
        },
        plots=write_plots(folder, judged.scores, test, judged.report),
        texts={
            CARD_FILE: model_card(judged),
            "features.json": msgspec.json.format(msgspec.json.encode(MODEL_INPUT)).decode(),
            FEATURES_FILE: features_file(),
        },
        children=head_runs(folder, judged),
        data=DataRecord(namespace or "examples", manifest.data_fingerprint),
    )


def _metrics(report: ModelReport, cost: ScoringCost) -> dict[str, float]:
    scoring = {"page_ms": cost.page_ms, "plain_ms": cost.plain_ms, "ratio": cost.ratio}
    found = report.metrics() | {f"scoring.{name}": value for name, value in scoring.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _parameters(judged: Judged) -> dict[str, str | int | float]:
    plan, parts = judged.plan, judged.split.parts
    shown: dict[str, str | int | float] = {
        "seed": plan.seed,
        "data_fingerprint": judged.bundle.manifest.data_fingerprint,
        "parameters": plan.parameters,
        "objective": plan.objective,
        "linear_share": plan.linear_share,
        "constant_features": ", ".join(judged.split.train.constant_features) or "none",
    }
    shown |= {f"rows.{name}": len(part) for name, part in parts.items()}
    shown |= {f"from.{name}": part.frame["event_timestamp"].min().isoformat() for name, part in parts.items()}
    shown |= {f"head.{key}": value for key, value in asdict(plan.head).items()}
    return shown | {f"light.{key}": value for key, value in asdict(plan.light).items()}


def _head_parameters(bundle: Bundle) -> dict[str, str | int | float]:
    """Of each head its weight and the kind of its calibration."""
    kinds = {head: type(spec.calibrator).__name__ for head, spec in bundle.manifest.heads.items()}
    return {
        **{f"weight.{head}": weight for head, weight in bundle.weights.items()},
        **{f"calibration.{head}": kind.lower() for head, kind in kinds.items()},
    }
