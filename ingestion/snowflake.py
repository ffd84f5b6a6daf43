"""Snowflake ids: 41 bits of milliseconds since the epoch, 10 of machine, 12 of sequence."""

from __future__ import annotations

from collections.abc import Callable

EPOCH_MS = 1_288_834_974_657
MACHINE_BITS = 10
SEQUENCE_BITS = 12
TIME_SHIFT = MACHINE_BITS + SEQUENCE_BITS


def snowflake(ts_ms: int, machine: int = 0, sequence: int = 0) -> int:
    """The id of the given moment, machine and sequence number.

    Raises:
        ValueError: the moment lies before the epoch, or machine or sequence do not fit.
    """
    if ts_ms < EPOCH_MS:
        raise ValueError(f"{ts_ms} ms lies before the Snowflake epoch {EPOCH_MS}.")
    if not 0 <= machine < 1 << MACHINE_BITS or not 0 <= sequence < 1 << SEQUENCE_BITS:
        raise ValueError(f"machine {machine} or sequence {sequence} does not fit a Snowflake id.")
    return (ts_ms - EPOCH_MS) << TIME_SHIFT | machine << SEQUENCE_BITS | sequence


def time_of(snowflake_id: int) -> int:
    """Milliseconds UTC at which the id was made."""
    return (snowflake_id >> TIME_SHIFT) + EPOCH_MS


class SnowflakeSequence:
    """Strictly increasing ids of one machine; a clock that steps back is waited out by the sequence."""

    def __init__(self, machine: int, clock: Callable[[], int]) -> None:
        self._machine = machine
        self._clock = clock
        self._last_ms = -1
        self._sequence = 0

    def next(self) -> int:
        now = max(self._clock(), self._last_ms)
        if now == self._last_ms:
            self._sequence += 1
            if self._sequence == 1 << SEQUENCE_BITS:
                now, self._sequence = now + 1, 0
        else:
            self._sequence = 0
        self._last_ms = now
        return snowflake(now, self._machine, self._sequence)
