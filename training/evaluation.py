"""The report: a model on the later part of the examples, beside the baselines on the same lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.labels import ENGAGED
from training.baselines import BASELINES, Ranker
from training.bundle import Scores
from training.dataset import Examples
from training.metrics import (
    Array,
    Codes,
    Interval,
    area_under_roc,
    average_precision,
    calibration_error,
    log_loss,
    mean_interval,
    ndcg,
    popularity_groups,
    rankable,
    reciprocal_ranks,
    relative_cross_entropy,
    row_interval,
)


@dataclass(frozen=True)
class Slice:
    """One group of authors: its rows, the share of positives, AP and RCE."""

    rows: int
    base_rate: float
    ap: float
    rce: float


@dataclass(frozen=True)
class HeadReport:
    """One head's calibrated probabilities; ``by_popularity`` has one slice per group of authors."""

    rows: int
    base_rate: float
    ap: Interval
    rce: Interval
    auc: float
    log_loss: float
    calibration_error: float
    by_popularity: Mapping[str, Slice]


@dataclass(frozen=True)
class ListReport:
    """One order of the lists that hold both engaged and other items.

    ``gain`` is the model's nDCG@10 less this order's, list by list (0 for the model itself).
    """

    ndcg_10: Interval
    mrr: Interval
    gain: Interval


@dataclass(frozen=True)
class ModelReport:
    """``lists`` is how many lists the orders were judged on.

    ``baselines`` are what a model has to beat, ``alternatives`` what else was learned from the same examples.
    """

    heads: Mapping[str, HeadReport]
    lists: int
    model: ListReport
    baselines: Mapping[str, ListReport]
    alternatives: Mapping[str, ListReport] = field(default_factory=dict)

    @property
    def orders(self) -> dict[str, ListReport]:
        """All of them, the model first."""
        return {"model": self.model, **self.baselines, **self.alternatives}

    def metrics(self) -> dict[str, float]:
        """Every figure under one flat name, as MLflow and the bundle's manifest keep them."""
        flat: dict[str, float] = {"lists": float(self.lists)}
        for head, report in self.heads.items():
            flat |= {f"{head}.{name}": getattr(report, name) for name in _HEAD_FIGURES}
            for name in ("ap", "rce"):
                flat |= _flat_interval(f"{head}.{name}", getattr(report, name))
            for group, part in report.by_popularity.items():
                flat |= {f"{head}.authors_{group}.ap": part.ap, f"{head}.authors_{group}.rce": part.rce}
        for order, lists in self.orders.items():
            flat |= _flat_interval(f"{order}.ndcg_10", lists.ndcg_10)
            flat |= _flat_interval(f"{order}.mrr", lists.mrr)
            if order != "model":
                flat |= _flat_interval(f"model_over_{order}.ndcg_10", lists.gain)
        return flat


_HEAD_FIGURES = ("rows", "base_rate", "auc", "log_loss", "calibration_error")


def evaluate(scores: Scores, test: Examples, seed: int, alternatives: Sequence[Ranker] = ()) -> ModelReport:
    """The model's ``scores`` of ``test``, every baseline's and every alternative's, on the same lists.

    Raises:
        ValueError: the label of a head is of one kind.
    """
    requests = test.requests
    followers = test.frame["author_followers"].to_numpy(dtype=np.float64)
    heads = {
        head: report_head(requests, test.labels(head), probabilities, followers, seed)
        for head, probabilities in scores.probabilities.items()
    }
    labels = test.labels(ENGAGED)
    kept = rankable(requests, labels)
    rankers = (*BASELINES, *alternatives)
    orders = {"model": scores.score} | {ranker.name: ranker.score(test.frame) for ranker in rankers}
    values = {name: ndcg(requests, labels, order)[kept] for name, order in orders.items()}
    lists = {
        name: ListReport(
            ndcg_10=mean_interval(values[name], seed),
            mrr=mean_interval(reciprocal_ranks(requests, labels, order)[kept], seed),
            gain=mean_interval(values["model"] - values[name], seed),
        )
        for name, order in orders.items()
    }
    return ModelReport(
        heads,
        int(kept.sum()),
        lists["model"],
        {ranker.name: lists[ranker.name] for ranker in BASELINES},
        {ranker.name: lists[ranker.name] for ranker in alternatives},
    )


def report_head(
    requests: Codes, labels: Array, probabilities: Array, followers: Array, seed: int
) -> HeadReport:
    """All metrics of one head, and its slices by the author's number of followers.

    Raises:
        ValueError: the labels are all of one kind.
    """
    slices = {}
    groups = popularity_groups(followers)
    for group in np.unique(groups):
        inside = groups == group
        rate = float(labels[inside].mean())
        if 0 < rate < 1:
            slices["unknown" if group < 0 else str(group + 1)] = Slice(
                rows=int(inside.sum()),
                base_rate=rate,
                ap=average_precision(labels[inside], probabilities[inside]),
                rce=relative_cross_entropy(labels[inside], probabilities[inside]),
            )
    return HeadReport(
        rows=len(labels),
        base_rate=float(labels.mean()),
        ap=row_interval(average_precision, requests, labels, probabilities, seed),
        rce=row_interval(relative_cross_entropy, requests, labels, probabilities, seed),
        auc=area_under_roc(labels, probabilities),
        log_loss=log_loss(labels, probabilities),
        calibration_error=calibration_error(labels, probabilities),
        by_popularity=slices,
    )


def _flat_interval(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}.low": interval.low, f"{name}.high": interval.high}
