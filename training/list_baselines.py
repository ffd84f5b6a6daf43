"""What a list model has to beat: orders by one feature and a logistic regression, behind one interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.list_table import ListTable
from features.ranking_log import TRUTH
from training.linear import LinearModel

Array = NDArray[np.float64]


class ListOrder(Protocol):
    """Scores the rows of a table; the higher is shown first. ``probability``: whether scores are such."""

    @property
    def name(self) -> str: ...

    @property
    def probability(self) -> bool: ...

    def score(self, table: ListTable) -> Array:
        """Scores float64 [n], none of them NaN."""
        ...


@dataclass(frozen=True)
class ByFeature:
    """One feature in falling order, or in rising order where ``sign`` is -1; what lacks it comes last."""

    name: str
    feature: str
    sign: float = 1.0
    probability: bool = False

    def score(self, table: ListTable) -> Array:
        values = self.sign * table.column(self.feature)
        known = np.isfinite(values)
        least = values[known].min() - 1.0 if known.any() and not known.all() else 0.0
        return np.where(known, values, least)


@dataclass(frozen=True)
class NewestPost:
    """The newest row first, in lists whose rows have moments of their own."""

    name: str = "chronological"
    probability: bool = False

    def score(self, table: ListTable) -> Array:
        return table.rows.time.astype(np.float64)


@dataclass(frozen=True)
class PlantedTruth:
    """The best order there is: by the chance that a synthetic row's label was drawn with."""

    name: str = "planted_truth"
    probability: bool = True

    def score(self, table: ListTable) -> Array:
        return table.rows.attributes[TRUTH]


ORDERS = (
    ByFeature("chronological", "age_hours", -1.0),
    ByFeature("chronological", "seen_hours", -1.0),
    ByFeature("chronological", "item_since_first_shown", -1.0),
    NewestPost(),
    ByFeature("popularity", "item_rate", probability=True),
    ByFeature("popularity", "author_rate", probability=True),
    ByFeature("author_popularity", "author_rate", probability=True),
    ByFeature("recency", "item_since_hit", -1.0),
    ByFeature("recency", "author_since_hit", -1.0),
    ByFeature("rating", "rating"),
)


def baselines(table: ListTable) -> Iterator[ListOrder]:
    """The first order of each name that the data have the feature for."""
    taken: set[str] = set()
    for order in ORDERS:
        feature = getattr(order, "feature", None)
        there = feature is None or bool(np.isfinite(table.column(feature)).any())
        if there and not taken & {order.name, feature}:
            taken |= {order.name, feature or order.name}
            yield order
    if TRUTH in table.rows.attributes:
        yield PlantedTruth()


class Logistic:
    """The linear part of the list model alone."""

    name = "logistic_regression"
    probability = True

    def __init__(self, model: LinearModel) -> None:
        self._model = model

    def score(self, table: ListTable) -> Array:
        return np.asarray(expit(self._model.log_odds(table.matrix)))
