"""The list model: P(label) by boosters and a linear model, and boosters for the order of lists row by row.

One default configuration for all data. Both kinds of boosters are small and heavily regularised. Where the
rows of a list are shown together, their ranks are features, and a booster for the order adds nothing to the
log-odds. Where they come row by row, the linear model is left out of the order, which it does not help. Where
readers report more than the label, the feature ``mixed_odds`` has a share in the log-odds of its own. A
request of more than ``HEAD_ROWS`` rows is pruned to these by a light ranker, distilled from the log-odds, so
that a page costs no more than a bundle's may (``training/latency.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.list_features import MIXED_ODDS
from features.list_table import ListTable
from features.running import Ints
from training.bundle import Matrix
from training.calibration import Platt, fit_platt
from training.dataset import NoExamplesError
from training.latency import HEAD_ROWS
from training.linear import LinearModel, fit_linear
from training.metrics import places, rankable

Array = NDArray[np.float64]
LEAST_POSITIVES = 20
TRUNCATION = 50
CALIBRATION_EVERY, CALIBRATION_LEAST = 7, 5


@dataclass(frozen=True)
class ListParameters:
    """Size and rate of learning of one kind of boosters; the mean of ``members`` seeds is taken."""

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
    """What shapes a fit besides the rows; ``order_weight`` is the order's share in the score,
    ``linear_share`` that of the linear model in the log-odds, and ``mixed_share`` that of ``mixed_odds``
    beside both."""

    seed: int = 20260101
    threads: int = 1
    head: ListParameters = ListParameters(trees=300, leaves=7, learning_rate=0.05, smallest_leaf=200)
    order: ListParameters = ListParameters(trees=150, leaves=7, learning_rate=0.04, smallest_leaf=200)
    light: ListParameters = ListParameters(
        trees=40, leaves=7, learning_rate=0.2, smallest_leaf=200, members=1
    )
    order_weight: float = 5.0
    linear_share: float = 0.2
    mixed_share: float = 0.4
    monotone: bool = True


@dataclass(frozen=True)
class ListScores:
    """``order`` sorts lists, ``probability`` is the calibrated P(label); both float64 [n]."""

    order: Array
    probability: Array


@dataclass(frozen=True)
class ListModel:
    """``heads`` and ``light`` predict raw log-odds of the label, ``orders`` raw scores within a request."""

    names: tuple[str, ...]
    heads: tuple[lightgbm.Booster, ...]
    orders: tuple[lightgbm.Booster, ...]
    linear: LinearModel
    light: lightgbm.Booster
    plan: ListPlan
    calibrator: Platt

    def scores(self, table: ListTable) -> ListScores:
        """Of every row; those that the light ranker prunes come behind the others of their request."""
        request = np.unique(table.rows.request, return_inverse=True)[1].astype(np.int64)
        crowded = (np.bincount(request) > HEAD_ROWS)[request]
        light = np.zeros(len(request))
        if crowded.any():
            light[crowded] = _mean_raw((self.light,), table.matrix[crowded])
        kept = ~crowded | (places(request, light) < HEAD_ROWS)
        odds, order = light.copy(), light.copy()
        odds[kept], order[kept] = self._full(table.matrix[kept])
        pruned = request[~kept]
        least_odds, least_order = (_least(request[kept], values[kept])[pruned] for values in (odds, order))
        odds[~kept] = np.minimum(light[~kept], least_odds)
        order[~kept] = least_order + odds[~kept] - least_odds
        return ListScores(order, self.calibrator.apply(odds))

    def page(self, rows: Matrix) -> None:
        """Scores a full page, float32 [n, len(names)], as ``scores`` does a request of as many rows."""
        odds = _mean_raw((self.light,), rows)
        self._full(rows[np.sort(np.argsort(-odds, kind="stable")[:HEAD_ROWS])])

    @property
    def size(self) -> dict[str, int]:
        """Trees and leaves that one row passes and may end in, and the trees of the light ranker."""
        boosters = (*self.heads, *self.orders)
        return {
            "trees": sum(booster.num_trees() for booster in boosters),
            "leaves": max(booster.params["num_leaves"] for booster in boosters),
            "light_trees": self.light.num_trees(),
        }

    def _full(self, rows: Matrix) -> tuple[Array, Array]:
        """The log-odds, and what orders lists: with the weighed score of the orders, if there are."""
        trees = _mean_raw(self.heads, rows)
        odds = _blend(trees, self.linear, self.plan, self.names, rows)
        return odds, trees + self.plan.order_weight * _mean_raw(self.orders, rows) if self.orders else odds


def fit(table: ListTable, plan: ListPlan, announce: Callable[[str], None]) -> ListModel:
    """The model of the judged rows of ``table``, calibrated on lists that a first fit had not seen.

    Raises:
        NoExamplesError: there are too few rows of one kind, in all or in a part.
    """
    table = table.where(table.rows.judged)
    held = np.unique(table.rows.list, return_inverse=True)[1] % CALIBRATION_EVERY == 0
    check_labels(table.rows.label[~held], "the train folder without every seventh list")
    check_labels(table.rows.label[held], "every seventh list of the train folder", CALIBRATION_LEAST)
    announce("fitting without every seventh list, to calibrate on those")
    # One seed is enough to learn how far to trust the probabilities.
    first = replace(plan, head=replace(plan.head, members=1))
    rest, rows = table.where(~held), table.matrix[held]
    trees, linear = _heads(rest, first), _linear(rest)
    odds = _blend(_mean_raw(trees, rows), linear, plan, table.names, rows)
    calibrator = fit_platt(odds, table.rows.label[held])
    announce("fitting the heads")
    heads, linear = _heads(table, plan), _linear(table)
    announce("fitting the order")
    orders = () if _together(table) else _orders(table, plan)
    announce("distilling the light ranker")
    odds = _blend(_mean_raw(heads, table.matrix), linear, plan, table.names, table.matrix)
    light = _boosters(table, odds, plan.light, {"objective": "regression"}, plan)[0]
    return ListModel(table.names, heads, orders, linear, light, plan, calibrator)


def check_labels(labels: Array, where: str, least: int = LEAST_POSITIVES) -> None:
    """Refuses rows that there is nothing to learn from or to judge by.

    Raises:
        NoExamplesError: fewer than ``least`` rows of one kind.
    """
    positives, negatives = int(labels.sum()), int(len(labels) - labels.sum())
    if min(positives, negatives) < least:
        raise NoExamplesError(
            f"There is too little data: {where} has {positives} rows that were engaged with and {negatives} "
            f"that were not, and {least} of each are needed."
        )


def _heads(table: ListTable, plan: ListPlan) -> tuple[lightgbm.Booster, ...]:
    return _boosters(table, table.rows.label, plan.head, {"objective": "binary"}, plan)


def _linear(table: ListTable) -> LinearModel:
    return fit_linear(table.matrix, table.rows.label)


def _blend(trees: Array, linear: LinearModel, plan: ListPlan, names: Sequence[str], rows: Matrix) -> Array:
    odds = (1.0 - plan.linear_share) * trees + plan.linear_share * linear.log_odds(rows)
    if MIXED_ODDS not in names:
        return odds
    mixed = rows[:, names.index(MIXED_ODDS)].astype(np.float64)
    return np.where(np.isnan(mixed), odds, (1.0 - plan.mixed_share) * odds + plan.mixed_share * mixed)


def _together(table: ListTable) -> bool:
    """Whether the rows of every list are shown at one moment, so that ranks within it are features."""
    pairs = np.unique(np.column_stack([table.rows.list, table.rows.request]), axis=0)
    return len(pairs) == len(np.unique(table.rows.list))


def _orders(table: ListTable, plan: ListPlan) -> tuple[lightgbm.Booster, ...]:
    """Boosters of the order within lists: of those that hold both kinds, as others have no better order."""
    lists = np.unique(table.rows.list, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(lists, kind="stable")
    order = order[rankable(lists, table.rows.label)[lists[order]]]
    sizes = np.bincount(lists[order])
    objective: dict[str, str | int] = {"objective": "lambdarank", "lambdarank_truncation_level": TRUNCATION}
    ordered = table.where(order)
    return _boosters(ordered, ordered.rows.label, plan.order, objective, plan, sizes[sizes > 0])


def _boosters(
    table: ListTable,
    target: Array,
    parameters: ListParameters,
    objective: Mapping[str, str | int],
    plan: ListPlan,
    groups: Ints | None = None,
) -> tuple[lightgbm.Booster, ...]:
    boosters = []
    for member in range(parameters.members):
        settings = {
            **objective,
            "num_leaves": parameters.leaves,
            "learning_rate": parameters.learning_rate,
            "min_data_in_leaf": min(parameters.smallest_leaf, max(1, len(table.rows) // 20)),
            "lambda_l2": parameters.l2,
            "feature_fraction": parameters.feature_share,
            "bagging_fraction": parameters.row_share,
            "bagging_freq": 1,
            "monotone_constraints": [_rises(name) for name in table.names] if plan.monotone else None,
            "seed": plan.seed + member,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": plan.threads,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(table.matrix, target, group=groups, feature_name=list(table.names))
        boosters.append(lightgbm.train(settings, data, num_boost_round=parameters.trees))
    return tuple(boosters)


def _rises(name: str) -> int:
    """1 where more of a feature can only speak for a row: rates and effects of what came of it before."""
    return int("_rate" in name or "_lift" in name or name.startswith(("effect_", MIXED_ODDS)))


def _least(requests: Ints, values: Array) -> Array:
    """Per request, from 0, the least of its values; infinite without any."""
    least = np.full(int(requests.max()) + 1, np.inf)
    np.minimum.at(least, requests, values)
    return least


def _mean_raw(boosters: tuple[lightgbm.Booster, ...], rows: Matrix) -> Array:
    raw = [booster.predict(rows, raw_score=True, num_threads=1) for booster in boosters]
    return np.asarray(np.mean(raw, axis=0), dtype=np.float64)
