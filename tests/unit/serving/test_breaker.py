"""The circuit breaker, call by call on a clock of its own, and against a plain model of what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.breaker import Breaker, BreakerOpenError
from serving.metrics import ServingMetrics
from serving.settings import BreakerSection

SECTION = BreakerSection(calls=6, least_calls=4, failure_rate=0.5, slow_ms=250, slow_rate=0.75, pause_ms=1000)
SLOW, PAUSE = 0.25, 1.0


class AwayError(Exception):
    """The dependency is not well."""


class Under:
    """A call that has begun and waits for its dependency."""

    def __init__(self, breaker: Breaker) -> None:
        self._call: Coroutine[Any, Any, str] = breaker.call(self._ask)
        self._call.send(None)

    async def _ask(self) -> str:
        await self
        return "answer"

    def __await__(self) -> Generator[None, None, None]:
        yield

    def ends(self) -> str:
        with pytest.raises(StopIteration) as ended:
            self._call.send(None)
        answer: str = ended.value.value
        return answer

    def ends_with(self, error: BaseException) -> None:
        with pytest.raises(type(error)):
            self._call.throw(error)


@dataclass
class Guarded:
    """A breaker whose clock is ``now``, in seconds."""

    now: float = 100.0
    metrics: ServingMetrics = field(default_factory=ServingMetrics)

    def __post_init__(self) -> None:
        self.breaker = Breaker(
            "redis",
            SECTION,
            lambda error: isinstance(error, AwayError),
            BreakerOpenError,
            self.metrics.breakers,
            lambda: self.now,
        )

    def begin(self) -> Under:
        return Under(self.breaker)

    def succeed(self, seconds: float = 0.0) -> None:
        call = self.begin()
        self.now += seconds
        call.ends()

    def fail(self, times: int = 1, error: type[BaseException] = AwayError) -> None:
        for _ in range(times):
            self.begin().ends_with(error())

    def open(self) -> None:
        self.fail(SECTION.least_calls)
        assert self.breaker.state == "open"

    def refuses(self) -> None:
        with pytest.raises(BreakerOpenError):
            self.begin()

    def series(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


def test_it_opens_when_half_of_the_calls_failed_and_not_before_enough_were_made(guarded: Guarded) -> None:
    guarded.succeed()
    guarded.fail(2)
    assert guarded.breaker.state == "closed"
    guarded.succeed()
    assert guarded.breaker.state == "open"
    guarded.refuses()


def test_it_opens_when_most_calls_are_slow_although_none_fails(guarded: Guarded) -> None:
    guarded.succeed()
    for _ in range(3):
        assert guarded.breaker.state == "closed"
        guarded.succeed(SLOW)
    assert guarded.breaker.state == "open"


def test_only_the_last_calls_count(guarded: Guarded) -> None:
    guarded.fail()
    for _ in range(2 * SECTION.calls):
        guarded.succeed()
    guarded.fail(2)
    assert guarded.breaker.state == "closed"
    guarded.fail()
    assert guarded.breaker.state == "open"


def test_an_error_that_is_an_answer_is_no_failure(guarded: Guarded) -> None:
    guarded.fail(20, ValueError)
    assert guarded.breaker.state == "closed"


def test_cancelled_calls_count_for_nothing_however_long_they_took(guarded: Guarded) -> None:
    for _ in range(20):
        call = guarded.begin()
        guarded.now += SLOW
        call.ends_with(asyncio.CancelledError())
    assert guarded.breaker.state == "closed"
    guarded.fail(SECTION.least_calls - 1)
    assert guarded.breaker.state == "closed"


def test_after_the_pause_one_call_at_a_time_is_let_through_and_a_good_one_closes_it(guarded: Guarded) -> None:
    guarded.open()
    guarded.now += PAUSE - 0.25
    guarded.refuses()
    guarded.now += 0.25
    probe = guarded.begin()
    assert guarded.breaker.state == "half_open"
    guarded.refuses()
    assert probe.ends() == "answer"
    assert guarded.breaker.state == "closed"
    guarded.fail(SECTION.least_calls - 1)
    assert guarded.breaker.state == "closed"


@pytest.mark.parametrize("slow", [False, True], ids=["failed", "slow"])
def test_a_probe_that_fails_or_is_slow_opens_it_for_another_pause(guarded: Guarded, slow: bool) -> None:
    guarded.open()
    guarded.now += PAUSE
    if slow:
        guarded.succeed(SLOW)
    else:
        guarded.fail()
    assert guarded.breaker.state == "open"
    guarded.now += PAUSE - 0.25
    guarded.refuses()


def test_a_cancelled_probe_gives_its_place_to_the_next(guarded: Guarded) -> None:
    guarded.open()
    guarded.now += PAUSE
    guarded.begin().ends_with(asyncio.CancelledError())
    assert guarded.breaker.state == "half_open"
    guarded.succeed()
    assert guarded.breaker.state == "closed"


def test_a_call_from_before_says_nothing_of_the_probe(guarded: Guarded) -> None:
    early = guarded.begin()
    guarded.open()
    guarded.now += PAUSE
    probe = guarded.begin()
    early.ends()
    assert guarded.breaker.state == "half_open"
    guarded.refuses()
    probe.ends_with(AwayError())
    assert guarded.breaker.state == "open"


def test_states_transitions_and_refusals_are_exported(guarded: Guarded) -> None:
    assert guarded.series("tideline_breaker_state", dependency="redis", state="closed") == 1
    guarded.open()
    guarded.refuses()
    assert guarded.series("tideline_breaker_state", dependency="redis", state="closed") == 0
    assert guarded.series("tideline_breaker_state", dependency="redis", state="open") == 1
    moved = {"dependency": "redis", "before": "closed", "after": "open"}
    assert guarded.series("tideline_breaker_transitions_total", **moved) == 1
    assert guarded.series("tideline_breaker_refused_total", dependency="redis") == 1


@dataclass
class Model:
    """What a breaker promises, said plainly; an ``era`` ends with each change of state."""

    state: str = "closed"
    era: int = 0
    last: list[tuple[bool, bool]] = field(default_factory=list)
    opened: float = 0.0
    probing: bool = False

    def lets_through(self, now: float) -> bool:
        if self.state == "open" and now - self.opened >= PAUSE:
            self._become("half_open")
        if self.state == "closed":
            return True
        if self.state == "open" or self.probing:
            return False
        self.probing = True
        return True

    def ended(self, era: int, now: float, failed: bool, slow: bool) -> None:
        if era != self.era:
            return
        if self.state == "half_open":
            self._become("open" if failed or slow else "closed")
        else:
            self.last = [*self.last, (failed, slow)][-SECTION.calls :]
            failures, slows = (sum(column) / len(self.last) for column in zip(*self.last, strict=True))
            enough = len(self.last) >= SECTION.least_calls
            if enough and (failures >= SECTION.failure_rate or slows >= SECTION.slow_rate):
                self._become("open")
        if self.state == "open":
            self.opened = now

    def cancelled(self, era: int) -> None:
        if era == self.era:
            self.probing = False

    def _become(self, state: str) -> None:
        self.state, self.era, self.probing, self.last = state, self.era + 1, False, []


class BreakerKeepsItsPromises(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.guarded = Guarded()
        self.model = Model()
        self.under_way: list[tuple[Under, int, float]] = []

    @rule()
    def begin(self) -> None:
        if self.model.lets_through(self.guarded.now):
            self.under_way.append((self.guarded.begin(), self.model.era, self.guarded.now))
        else:
            self.guarded.refuses()

    @rule(quarters=st.integers(0, 5))
    def wait(self, quarters: int) -> None:
        self.guarded.now += quarters / 4

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=st.sampled_from(["answer", "answer", "failure", "failure", "cancelled"]))
    def end(self, data: st.DataObject, how: str) -> None:
        place = data.draw(st.integers(0, len(self.under_way) - 1))
        call, era, begun = self.under_way.pop(place)
        ends: dict[str, Callable[[], object]] = {
            "answer": call.ends,
            "failure": lambda: call.ends_with(AwayError()),
            "cancelled": lambda: call.ends_with(asyncio.CancelledError()),
        }
        ends[how]()
        if how == "cancelled":
            self.model.cancelled(era)
        else:
            now = self.guarded.now
            self.model.ended(era, now, how == "failure", now - begun >= SLOW)

    @invariant()
    def states_agree(self) -> None:
        assert self.guarded.breaker.state == self.model.state

    def teardown(self) -> None:
        for call, _, _ in self.under_way:
            call.ends_with(asyncio.CancelledError())


TestBreakerKeepsItsPromises = BreakerKeepsItsPromises.TestCase
TestBreakerKeepsItsPromises.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
