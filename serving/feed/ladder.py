"""Which rung of the ladder a ranked request starts on: the more are under way, the less each may cost.

Pages are made a few at a time, in the order in which they were asked for; how many wait decides what the
next may cost. Under load requests step down, full to reduced to light to chronological, before any is
refused. What fails or has no time on its rung steps down too: see ``serving.feed.feed``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    """A rung is still given with fewer pages ``under_way`` in this process, and to a request that has not
    ``waited`` for longer than that share of its deadline.

    The number meets a crowd that comes at once, the wait a rate that this machine cannot answer.
    """

    under_way: dict[RankedRung, int]
    waited: dict[RankedRung, float]

    def rung(self, under_way: int, waited: float) -> RankedRung | None:
        """The rung for a request while so many others are under way; None: there is no time to rank."""
        fitting = (r for r in RUNGS if under_way < self.under_way[r] and waited <= self.waited[r])
        return next(fitting, None)


class Load:
    """How many pages are under way in this process: those that are made, ``at_once``, and those that wait.

    All begun at once would all end late: each waits for the turns of all others at the processor, and for
    connections of the store that the others hold.
    """

    def __init__(self, at_once: int) -> None:
        self.under_way = 0
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[int]:
        """Waits for its turn, first come, first served; gives how many others are under way then."""
        self.under_way += 1
        try:
            async with self._turns:
                yield self.under_way - 1
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
