"""The list model: boosters for P(label) and, where rows are shown together, boosters for their order.

One default configuration for all data. Both kinds of boosters are small and heavily regularised; what they
cost to score together is that of the model bundle (see ``docs/ranking-quality.md``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.list_table import ListTable
from training.calibration import Calibrator, fit_isotonic
from training.dataset import NoExamplesError

Array = NDArray[np.float64]
LEAST_POSITIVES = 20


@dataclass(frozen=True)
class ListParameters:
    """Size and rate of learning of one kind of boosters; their trees are the mean of ``members`` seeds."""

    trees: int
    leaves: int
    learning_rate: float
    smallest_leaf: int
    members: int = 2
    l2: float = 20.0
    feature_share: float = 0.3
    row_share: float = 0.7


@dataclass(frozen=True)
class ListPlan:
    """What shapes a fit besides the rows; ``order_weight`` is the order's share in the score."""

    seed: int = 20260101
    threads: int = 1
    head: ListParameters = ListParameters(trees=250, leaves=15, learning_rate=0.03, smallest_leaf=100)
    order: ListParameters = ListParameters(trees=150, leaves=15, learning_rate=0.03, smallest_leaf=100)
    order_weight: float = 0.5
    calibration_share: float = 0.15


@dataclass(frozen=True)
class ListModel:
    """``heads`` predict raw log-odds of the label, ``orders`` raw scores within a request."""

    names: tuple[str, ...]
    heads: tuple[lightgbm.Booster, ...]
    orders: tuple[lightgbm.Booster, ...]
    order_weight: float
    calibrator: Calibrator

    def probability(self, table: ListTable) -> Array:
        """Calibrated P(label), float64 [n]."""
        return self.calibrator.apply(_sigmoid(_mean_raw(self.heads, table)))

    def score(self, table: ListTable) -> Array:
        """What orders lists, float64 [n]: the log-odds, and the order's score beside where there is one."""
        odds = _mean_raw(self.heads, table)
        if not self.orders:
            return odds
        return (1 - self.order_weight) * odds + self.order_weight * _mean_raw(self.orders, table)

    @property
    def size(self) -> dict[str, int]:
        """Trees and leaves that one row passes and may end in."""
        boosters = (*self.heads, *self.orders)
        return {
            "trees": sum(booster.num_trees() for booster in boosters),
            "leaves": max(booster.params["num_leaves"] for booster in boosters),
        }


def fit(table: ListTable, plan: ListPlan, announce: Callable[[str], None]) -> ListModel:
    """The model of the rows of ``table``, calibrated on what a first fit said of their latest part.

    Raises:
        NoExamplesError: there are too few rows of one kind, in all or in a part.
    """
    table = _by_request(table)
    starts = np.flatnonzero(np.r_[True, np.diff(table.rows.request) != 0])
    held_from = starts[round(len(starts) * (1 - plan.calibration_share))] if len(starts) > 1 else 0
    early = np.arange(len(table.rows)) < held_from
    for part, rows in (("earlier", early), ("latest", ~early)):
        check_labels(table.rows.label[rows], f"the {part} part of the train folder")
    announce("fitting on the earlier part, to calibrate on the latest")
    raw = _mean_raw(_boosters(table.where(early), plan.head, "binary", plan), table.where(~early))
    calibrator = fit_isotonic(_sigmoid(raw), table.rows.label[~early])
    announce("fitting the heads")
    heads = _boosters(table, plan.head, "binary", plan)
    together = len(starts) < len(table.rows)
    if together:
        announce("fitting the order")
    orders = _boosters(table, plan.order, "lambdarank", plan) if together else ()
    return ListModel(table.names, heads, orders, plan.order_weight, calibrator)


def check_labels(labels: Array, where: str) -> None:
    """Refuses rows that there is nothing to learn from or to judge by.

    Raises:
        NoExamplesError: fewer than 20 rows of one kind.
    """
    positives, negatives = int(labels.sum()), int(len(labels) - labels.sum())
    if min(positives, negatives) < LEAST_POSITIVES:
        raise NoExamplesError(
            f"There is too little data: {where} has {positives} rows that were engaged with and {negatives} "
            f"that were not, and {LEAST_POSITIVES} of each are needed."
        )


def _boosters(
    table: ListTable, parameters: ListParameters, objective: str, plan: ListPlan
) -> tuple[lightgbm.Booster, ...]:
    starts = np.flatnonzero(np.r_[True, np.diff(table.rows.request) != 0])
    groups = np.diff(np.r_[starts, len(table.rows)]) if objective == "lambdarank" else None
    boosters = []
    for member in range(parameters.members):
        settings = {
            "objective": objective,
            "num_leaves": parameters.leaves,
            "learning_rate": parameters.learning_rate,
            "min_data_in_leaf": min(parameters.smallest_leaf, max(1, len(table.rows) // 20)),
            "lambda_l2": parameters.l2,
            "feature_fraction": parameters.feature_share,
            "bagging_fraction": parameters.row_share,
            "bagging_freq": 1,
            "lambdarank_truncation_level": 50,
            "seed": plan.seed + member,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": plan.threads,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(table.matrix, table.rows.label, group=groups, feature_name=list(table.names))
        boosters.append(lightgbm.train(settings, data, num_boost_round=parameters.trees))
    return tuple(boosters)


def _by_request(table: ListTable) -> ListTable:
    """The rows of one request next to each other, requests in order of time."""
    order = np.lexsort((table.rows.request, table.rows.time))
    return table.where(order)


def _mean_raw(boosters: tuple[lightgbm.Booster, ...], table: ListTable) -> Array:
    raw = [booster.predict(table.matrix, raw_score=True, num_threads=1) for booster in boosters]
    return np.asarray(np.mean(raw, axis=0), dtype=np.float64)


def _sigmoid(raw: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-raw))
