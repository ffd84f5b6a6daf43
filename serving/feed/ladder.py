"""Which rung of the ladder a ranked request starts on: the more are under way, the less each may cost.

Under load requests step down, full to reduced to light to chronological, before any is refused. What fails or
has no time on its rung steps down too: see ``serving.feed.feed``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from serving.feed.policy import Budgets
from serving.shapes import Reason

RankedRung = Literal["full", "reduced", "light"]
RUNGS: tuple[RankedRung, ...] = ("full", "reduced", "light")


def answered(rung: RankedRung, by_heads: bool) -> tuple[RankedRung, Reason | None]:
    """The rung that a ranking begun on ``rung`` answers on, and why it is not the full one."""
    if by_heads:
        return (rung, None) if rung == "full" else ("reduced", "overload")
    return "light", "overload" if rung == "light" else "deadline"


class NoTimeForHeadsError(RuntimeError):
    """The heads would end after the deadline."""


@dataclass(frozen=True)
class Budget:
    """What a ranking on one rung may look at: ``candidates``, and how many of them the ``heads`` score."""

    candidates: int
    heads: int


def budget(rung: RankedRung, budgets: Budgets) -> Budget:
    """What a rung may cost by the policy's figures."""
    if rung == "full":
        return Budget(budgets.candidates, budgets.heads)
    return Budget(budgets.reduced_candidates, budgets.reduced_heads if rung == "reduced" else 0)


@dataclass(frozen=True)
class Ladder:
    """With fewer rankings ``under_way`` in this process a rung is still given."""

    under_way: dict[RankedRung, int]

    def rung(self, under_way: int) -> RankedRung | None:
        """The rung for a request while so many others are ranked; None: there is no time to rank."""
        return next((rung for rung in RUNGS if under_way < self.under_way[rung]), None)


class Load:
    """How many rankings are under way in this process."""

    def __init__(self) -> None:
        self.under_way = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


class HeadsClock:
    """Learns what the heads take per candidate: a mean in which each new call weighs a tenth.

    A call has a cost of its own, so that few candidates count as ``FEWEST``. What it refuses it cannot learn
    from: each refusal lowers what it expects a little, until a call is tried again.
    """

    FEWEST = 50
    FORGETS = 0.98

    def __init__(self) -> None:
        self._seconds_each = 0.0

    def learn(self, candidates: int, seconds: float) -> None:
        each = seconds / max(candidates, self.FEWEST)
        self._seconds_each += 0.1 * (each - self._seconds_each) if self._seconds_each else each

    def expected(self, candidates: int) -> float:
        """Seconds for so many candidates; 0 before the first call."""
        return self._seconds_each * max(candidates, self.FEWEST)

    def fits(self, candidates: int, seconds: float) -> bool:
        """Whether so many will be scored within so many seconds."""
        if self.expected(candidates) <= seconds:
            return True
        self._seconds_each *= self.FORGETS
        return False
