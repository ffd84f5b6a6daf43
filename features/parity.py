"""Whether the features logged at serving are those that the point-in-time join finds for the same moment.

What Spark computes is online as it was materialized last, or, while rows are being written, the time before:
a logged value of it may be the one of either, if that is not too long ago. A value of the stream or of the
request must be that of the moment itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.names import CONTEXT_FEATURES, VIEWS
from features.settings import ParitySettings

COMPARED = tuple(
    name
    for name in (
        *(column for view in VIEWS for column in view.columns),
        *(feature.name for feature in CONTEXT_FEATURES),
    )
    # The log alone knows how an item reached the reader: examples take it from there.
    if name != "context_is_retweet"
)
BATCH_FEATURES = tuple(column for view in VIEWS if view.engine == "spark" for column in view.columns)

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FeatureParity:
    """What became of the values of one feature that are there on either side.

    ``as_materialized``: of the ``equal``, those that equal the value of a materialization only.
    ``largest_difference`` is the largest distance of a logged value to the nearest of its offline values.
    """

    name: str
    compared: int
    equal: int
    as_materialized: int
    differing: int
    missing_logged: int
    missing_offline: int
    largest_difference: float

    @property
    def share_equal(self) -> float:
        """1 where there was nothing to compare."""
        return self.equal / self.compared if self.compared else 1.0

    def failures(self, limits: ParitySettings, few: bool = False) -> list[str]:
        """What is above a limit, one clause each; where only ``few`` rows were logged, also most of them."""
        of = max(self.compared, limits.least_values)
        most = self.compared / 2 if few else of
        kinds = (
            ("differ", self.differing, limits.differing),
            ("are missing in the log", self.missing_logged, limits.missing),
            ("are missing offline", self.missing_offline, limits.missing),
        )
        return [
            f"{count / self.compared:.1%} of {self.name} {kind}, above {limit:.1%}"
            for kind, count, limit in kinds
            if count > min(limit * of, most)
        ]


@dataclass(frozen=True)
class ParityReport:
    """Of ``rows`` logged rows, every feature that is compared, in the order of the model's input."""

    rows: int
    features: Sequence[FeatureParity]

    def failures(self, limits: ParitySettings) -> list[str]:
        few = self.rows < limits.least_values
        return [failure for feature in self.features for failure in feature.failures(limits, few)]


def compare(
    logged: Mapping[str, Values],
    offline: Mapping[str, Values],
    materialized: Sequence[Mapping[str, Values]],
    limits: ParitySettings,
) -> ParityReport:
    """The sides compared; each maps a feature to its values [n], NaN where there is none.

    Args:
        logged: the features as served.
        offline: those of the moment of serving.
        materialized: those of each materialization that it may have been served from, of the features that
            one writes; those of ``offline`` in rows for which it was too long ago to count.
    """
    names = [name for name in COMPARED if name in logged]
    found = [
        _compared(
            name, logged[name], offline[name], [side[name] for side in materialized if name in side], limits
        )
        for name in names
    ]
    return ParityReport(len(next(iter(logged.values()), ())), found)


def _compared(
    name: str, logged: Values, offline: Values, materialized: Sequence[Values], limits: ParitySettings
) -> FeatureParity:
    distance = _distance(logged, offline)
    same = _same(logged, offline, limits)
    as_materialized = np.zeros_like(same)
    no_log, no_offline = np.isnan(logged), np.isnan(offline)
    either = ~(no_log & no_offline)
    for values in materialized:
        as_materialized |= _same(logged, values, limits) & ~same
        distance = np.fmin(distance, _distance(logged, values))
        no_offline = no_offline & np.isnan(values)
    equal = same | as_materialized
    unequal = either & ~equal
    missing_logged, missing_offline = unequal & no_log, unequal & no_offline
    differing = unequal & ~no_log & ~no_offline
    return FeatureParity(
        name,
        compared=int(either.sum()),
        equal=int((either & equal).sum()),
        as_materialized=int((either & as_materialized).sum()),
        differing=int(differing.sum()),
        missing_logged=int(missing_logged.sum()),
        missing_offline=int(missing_offline.sum()),
        largest_difference=float(distance[differing].max(initial=0.0)),
    )


def _same(logged: Values, offline: Values, limits: ParitySettings) -> NDArray[np.bool_]:
    same = np.isclose(logged, offline, rtol=limits.relative, atol=limits.absolute, equal_nan=True)
    return np.asarray(same, dtype=np.bool_)


def _distance(logged: Values, offline: Values) -> NDArray[np.float64]:
    distance = np.asarray(logged, dtype=np.float64) - np.asarray(offline, dtype=np.float64)
    return np.asarray(np.abs(distance), dtype=np.float64)
