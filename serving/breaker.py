"""Circuit breakers: calls of a dependency that mostly fails, or is mostly slow, end at once for a while.

The state machine is interlock's; ``docs/decisions/2026-11-21-breaker.md`` says why. A breaker is closed, open
or half-open, and in the last it lets one call at a time through to see whether the dependency is back. A
cancelled call counts for nothing: it tells of the caller's patience.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from interlock import CircuitBreaker, CircuitOpenError, Config, CoreEventListener
from interlock import State as CircuitState

from serving.settings import BreakerSection
from serving.shapes import BreakerState

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class BreakerOpenError(Exception):
    """The call was not made: its dependency is given a pause. Each dependency has a subclass of its own."""


class BreakerObserver(Protocol):
    """Learns what breakers do; ``serving.metrics`` exports it."""

    def watches(self, dependency: str) -> None:
        """A closed breaker has been made."""

    def moved(self, dependency: str, before: BreakerState, after: BreakerState) -> None: ...

    def refused(self, dependency: str) -> None: ...


class Breaker:
    """Guards the calls of one dependency from one process.

    Args:
        is_failure: whether an exception says that the dependency is not well; any other is an answer.
        refusal: what a call that is not made raises.
        seconds: a clock that only moves on.
    """

    def __init__(
        self,
        dependency: str,
        section: BreakerSection,
        is_failure: Callable[[Exception], bool],
        refusal: type[BreakerOpenError],
        observer: BreakerObserver | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dependency = dependency
        self._refusal = refusal
        if observer is not None:
            observer.watches(dependency)
        self._circuit = CircuitBreaker(
            name=dependency,
            config=Config(
                failure_rate_threshold=section.failure_rate,
                slow_call_duration_threshold=section.slow_ms / 1000,
                slow_call_rate_threshold=section.slow_rate,
                minimum_number_of_calls=section.least_calls,
                window_size=section.calls,
                wait_duration_in_open=section.pause_ms / 1000,
                permitted_calls_in_half_open=1,
                max_concurrent_probes=1,
            ),
            clock=_Clock(seconds),
            classifier=_Classifier(is_failure),
            listener=_Listener(observer),
        )

    @property
    def state(self) -> BreakerState:
        return _shown(self._circuit.state)

    async def call(self, ask: Callable[..., Awaitable[Answer]], *args: Any, **kwargs: Any) -> Answer:
        """What ``ask`` answers or raises.

        Raises:
            BreakerOpenError: ``ask`` was not called.
        """
        try:
            return await self._circuit.call_async(ask, *args, **kwargs)
        except CircuitOpenError as refused:
            pause = "" if refused.retry_after is None else f" for another {refused.retry_after:.1f} s"
            raise self._refusal(f"The circuit breaker of {self.dependency} is open{pause}.") from None


@dataclass(frozen=True)
class _Clock:
    monotonic: Callable[[], float]


@dataclass(frozen=True)
class _Classifier:
    says_failure: Callable[[Exception], bool]

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        return exception is not None and self.says_failure(exception)


@dataclass(frozen=True)
class _Listener(CoreEventListener):
    observer: BreakerObserver | None

    def on_state_change(self, *, name: str, old: CircuitState, new: CircuitState) -> None:
        logger.warning("The circuit breaker of %s was %s and is %s.", name, _shown(old), _shown(new))
        if self.observer is not None:
            self.observer.moved(name, _shown(old), _shown(new))

    def on_rejected(self, *, name: str) -> None:
        if self.observer is not None:
            self.observer.refused(name)


def _shown(state: CircuitState) -> BreakerState:
    return cast(BreakerState, state.value)
