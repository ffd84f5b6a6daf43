"""Ordering by score: unscored (NaN) last, equal scores by id, newest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

C = TypeVar("C")


def order_by_score(
    candidates: Sequence[C], score: Callable[[C], float], identity: Callable[[C], int]
) -> list[C]:
    """The candidates from best to worst; the order does not depend on the input's order."""

    def rank(candidate: C) -> tuple[bool, float, int]:
        value = score(candidate)
        missing = math.isnan(value)
        return (missing, 0.0 if missing else -value, -identity(candidate))

    return sorted(candidates, key=rank)
