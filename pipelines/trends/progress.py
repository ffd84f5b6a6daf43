"""How far event time has come, over partitions that run ahead of each other, fall silent and start late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Progress:
    """Args:
    partitions: how many there are; one never heard of is waited for like one that has fallen silent.
    idle_ms: silence after which a partition is not waited for.
    """

    def __init__(self, partitions: int, idle_ms: int) -> None:
        self._partitions = partitions
        self._idle_ms = idle_ms
        self._newest: dict[int, int] = {}
        self._clock: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self._began_ms: int | None = None

    def begin(self, now_ms: int) -> None:
        """From now on partitions may be heard. Any steady clock will do, and each restart starts anew."""
        self._began_ms = now_ms
        self._heard = dict.fromkeys(range(self._partitions), now_ms)

    def hear(self, partition: int, newest_ms: int, clock_ms: int, now_ms: int) -> None:
        """A batch came: the newest event time in it, and that of a ClockAdvanced (0 for none)."""
        self._newest[partition] = max(self._newest.get(partition, 0), newest_ms)
        self._clock[partition] = max(self._clock.get(partition, 0), clock_ms)
        self._heard[partition] = now_ms

    def reached(self, recorded_ms: int, now_ms: int) -> int:
        """Event time (ms UTC) that every partition worth waiting for has reached; 0 when it is not known.

        A partition whose clock was advanced past its events has reached the end of all that was recorded
        (``recorded_ms``), and no more: what follows a replay may be anywhere in time.
        """
        awake = [p for p, heard in self._heard.items() if now_ms - heard < self._idle_ms]
        times = [self._time(p, recorded_ms) for p in awake]
        if times:
            return min(times)
        return max((self._time(p, recorded_ms) for p in self._heard), default=0)

    def pack(self) -> dict[str, object]:
        return {"newest": list(self._newest.items()), "clock": list(self._clock.items())}

    def unpack(self, packed: Mapping[str, Any]) -> None:
        self._newest, self._clock = dict(packed["newest"]), dict(packed["clock"])

    def _time(self, partition: int, recorded_ms: int) -> int:
        newest = self._newest.get(partition, 0)
        return max(newest, recorded_ms) if self._clock.get(partition, 0) >= max(newest, 1) else newest
