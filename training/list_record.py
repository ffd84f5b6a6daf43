"""What an evaluation leaves in MLflow: one run, and below it one for each order that was judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from training.head_plots import gains, importance, shap_summary, shown_rows
from training.head_runs import HEAD_TAG
from training.list_evaluation import ListEvaluation
from training.list_model import ListParameters, ListPlan
from training.list_plots import order_quality, slice_differences
from training.list_report import OrderFigures
from training.plots import reliability, save
from training.settings import MlflowSettings
from training.tracking import DataRecord, RunRecord, log_record

LABEL = "label"
ORDER_TAG = "order"
SUMMARY_FILE = "summary.json"


def track(settings: MlflowSettings, result: ListEvaluation, folder: Path) -> str:
    """Logs the evaluation in the experiment of its dataset; the run's id. Plots are written to ``folder``.

    Raises:
        RegistryError: MLflow does not answer.
    """
    return log_record(settings, experiment_of(result.dataset), evaluation_record(result, folder))


def experiment_of(dataset: str) -> str:
    """The experiment that all evaluations of a dataset are in."""
    return f"evaluate-{dataset}"


def evaluation_record(result: ListEvaluation, folder: Path) -> RunRecord:
    """The champion's figures and plots, with a run for each order below; plots are written to ``folder``."""
    orders = {"champion": result.champion, **result.baselines}
    plots = {
        **_of_the_label(result),
        "ndcg": order_quality(result.lists, orders),
        "slices": slice_differences(result.strongest, result.slices),
    }
    return RunRecord(
        name=result.data_fingerprint[:12],
        parameters=_parameters(result),
        metrics=_metrics(result),
        tags={HEAD_TAG: LABEL, "dataset": result.dataset, "strongest_baseline": result.strongest},
        plots=save(folder, plots),
        texts={SUMMARY_FILE: json.dumps(result.summary(), indent=2)},
        children=[_order_run(name, order, result) for name, order in orders.items()],
        data=DataRecord(result.dataset, result.data_fingerprint),
    )


def _of_the_label(result: ListEvaluation) -> Mapping[str, Figure]:
    """Plots of the probability of the label, on judged rows; of at most ``SHOWN_ROWS`` what features add."""
    kept = np.flatnonzero(result.judged.rows.judged)
    labels, likely = result.judged.rows.label[kept], result.scores.probability[kept]
    sample, heads = result.judged.matrix[kept[shown_rows(len(kept))]], result.model.heads
    added = np.mean([head.predict(sample, pred_contrib=True, num_threads=1) for head in heads], axis=0)
    return {
        "reliability": reliability({LABEL: labels}, {LABEL: likely}),
        "gains": gains(LABEL, labels, likely),
        "importance": importance(LABEL, *heads),
        "shap": shap_summary(LABEL, result.judged.names, sample, added[:, :-1]),
    }


def _order_run(name: str, figures: OrderFigures, result: ListEvaluation) -> RunRecord:
    return RunRecord(
        name=name,
        parameters={"data_fingerprint": result.data_fingerprint},
        metrics=_known(figures),
        tags={ORDER_TAG: name},
    )


def _parameters(result: ListEvaluation) -> dict[str, str | int | float]:
    shown: dict[str, str | int | float] = {
        "data_fingerprint": result.data_fingerprint,
        "features": result.features,
        "train_rows": result.train_rows,
        "rows": result.rows,
        "lists": result.lists,
    }
    shown |= {f"size.{name}": value for name, value in result.size.items()}
    return shown | _shape(result.plan)


def _shape(plan: ListPlan) -> dict[str, str | int | float]:
    """The plan as flat parameters."""
    shown: dict[str, str | int | float] = {}
    for name, value in vars(plan).items():
        if isinstance(value, ListParameters):
            shown |= {f"{name}.{key}": part for key, part in asdict(value).items()}
        else:
            shown[name] = value
    return shown


def _metrics(result: ListEvaluation) -> dict[str, float]:
    metrics = {**_known(result.champion), "scoring_ratio": result.scoring.ratio}
    if result.share_of_gain is not None:
        metrics["share_of_gain"] = result.share_of_gain
    for name, part in result.slices.items():
        lead = part.ndcg_at_10.difference
        metrics |= {f"lead/{name}": lead.value, f"lead/{name}/low": lead.low, f"lead/{name}/high": lead.high}
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _known(figures: OrderFigures) -> dict[str, float]:
    return {name: value for name, value in figures.flat().items() if value is not None}
