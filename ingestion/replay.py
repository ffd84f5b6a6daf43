"""Replays a dataset onto the log, through the publisher that the write API uses."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ingestion.clock import Pace, no_shift, shift_to_end, span
from ingestion.datasets.dataset import Dataset
from ingestion.publisher import LogUnavailableError, Publisher
from timelines.durations import DAY_MS

REPORT_EVERY = 2000


@dataclass(frozen=True)
class ReplayOptions:
    """``speed``: recorded seconds per second, None for as fast as the log takes them.

    ``keep_time``: leave the recorded times alone (in a namespace of their own), else every recording is
    moved so that its last event falls on the moment at which it is sent.
    """

    speed: float | None = None
    keep_time: bool = False


@dataclass(frozen=True)
class ReplayFigures:
    """What a replay wrote. ``clock_ts`` is the event time that it advanced every partition to."""

    dataset: str
    events: int
    by_type: dict[str, int]
    seconds: float
    events_per_second: float
    first_ts: int
    last_ts: int
    clock_ts: int
    clock_records: int


class Failures:
    """Keeps the first failed delivery."""

    def __init__(self) -> None:
        self.first: LogUnavailableError | None = None

    def watch(self, error: LogUnavailableError | None) -> None:
        self.first = self.first or error

    def check(self) -> None:
        if self.first is not None:
            raise LogUnavailableError(f"The replay stopped: {self.first}") from self.first


def replay(
    dataset: Dataset,
    publisher: Publisher,
    options: ReplayOptions,
    *,
    now_ms: int,
    progress: Callable[[int, float], None] = lambda events, per_second: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ReplayFigures:
    """Write every event of the dataset, then advance the clock of every partition.

    The clock is advanced just past the last event where live events follow, and by a day where a recording
    keeps its own time and nothing follows, so that every window closes.

    Args:
        now_ms: the moment of the call, milliseconds UTC.
        progress: called now and then with events so far and events per second.

    Raises:
        LogUnavailableError: the log refused an event.
        DatasetError: the dataset cannot be read.
    """
    recordings = dataset.recordings
    if options.keep_time:
        shift = no_shift(recordings)
    else:
        longest = max(recording.last_ms - recording.first_ms for recording in recordings)
        takes_ms = int(longest / options.speed) if options.speed else 0
        shift = shift_to_end(recordings, now_ms + takes_ms)
    first_ts, last_ts = span(recordings, shift)
    counts: Counter[str] = Counter()
    failures = Failures()
    started = clock()
    pace = Pace(options.speed, first_ts, started, clock, sleep)
    events = 0
    for event in dataset.events(shift):
        pace.wait_for(event.ts)
        publisher.hand_over(event, failures.watch)
        counts[type(event).__name__] += 1
        events += 1
        if events % REPORT_EVERY == 0:
            failures.check()
            progress(events, events / max(clock() - started, 1e-9))
    publisher.flush()
    failures.check()
    seconds = clock() - started
    clock_ts = last_ts + (DAY_MS if options.keep_time else 1)
    clock_records = publisher.advance_clock(clock_ts)
    progress(events, events / max(seconds, 1e-9))
    return ReplayFigures(
        dataset=dataset.name,
        events=events,
        by_type=dict(sorted(counts.items())),
        seconds=round(seconds, 3),
        events_per_second=round(events / max(seconds, 1e-9), 1),
        first_ts=first_ts,
        last_ts=last_ts,
        clock_ts=clock_ts,
        clock_records=clock_records,
    )


def as_json_text(figures: ReplayFigures) -> str:
    """The figures as one JSON object."""
    return msgspec.json.encode(figures).decode()
