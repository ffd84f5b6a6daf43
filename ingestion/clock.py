"""Moves recordings in time, and paces them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingestion.datasets.dataset import Recording


def no_shift(recordings: Sequence[Recording]) -> dict[str, int]:
    """Every recording stays in its own time."""
    return {recording.name: 0 for recording in recordings}


def shift_to_end(recordings: Sequence[Recording], end_ms: int) -> dict[str, int]:
    """What moves each recording, on its own, so that its last event falls on ``end_ms``."""
    return {recording.name: end_ms - recording.last_ms for recording in recordings}


def span(recordings: Sequence[Recording], shift_ms: dict[str, int]) -> tuple[int, int]:
    """First and last moment of the recordings after the shift."""
    return (
        min(recording.first_ms + shift_ms[recording.name] for recording in recordings),
        max(recording.last_ms + shift_ms[recording.name] for recording in recordings),
    )


@dataclass(frozen=True)
class Pace:
    """Holds events back until their time has come.

    Args:
        speed: recorded seconds per second; None does not wait at all.
        first_ms: event time at which the wait begins; what is older goes out at once.
        started_s: ``clock()`` at that moment.
    """

    speed: float | None
    first_ms: int
    started_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def wait_for(self, ts: int) -> None:
        if self.speed is None or ts <= self.first_ms:
            return
        due = self.started_s + (ts - self.first_ms) / 1000 / self.speed
        left = due - self.clock()
        if left > 0:
            self.sleep(left)
