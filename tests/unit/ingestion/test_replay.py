"""The replay: its clock, its pace, and that nothing is counted which the log did not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from ingestion.datasets.dataset import Recording
from ingestion.events import AccountRegistered, ClockAdvanced, Event, TweetDeleted
from ingestion.publisher import LogUnavailableError, MemoryPublisher
from ingestion.replay import ReplayFigures, ReplayOptions, replay
from ingestion.topics import EVENT_TOPICS
from timelines.durations import DAY_MS

NOW = 1_900_000_000_000
PARTITIONS = sum(topic.partitions for topic in EVENT_TOPICS)


@dataclass(frozen=True)
class Recorded:
    """Two recordings of ten seconds, a day apart, each after an account made long before."""

    name: str = "recorded"
    recordings: tuple[Recording, ...] = (Recording("a", 100_000, 110_000), Recording("b", 500_000, 504_000))
    size: int = 5

    def events(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        moments = [("a", 100_000), ("a", 110_000), ("b", 500_000), ("b", 504_000)]
        yield AccountRegistered(
            event_id="u", ts=5 + shift_ms["a"], user_id=1, handle="u", display_name="U", created_at=1
        )
        ordered = sorted((ts + shift_ms[name], number) for number, (name, ts) in enumerate(moments))
        for ts, number in ordered:
            yield TweetDeleted(event_id=f"t{number}", ts=ts, tweet_id=number + 1, author_id=1)


@dataclass
class Watch:
    """A clock that only sleeping moves."""

    seconds: float = 0.0

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def run(options: ReplayOptions, publisher: MemoryPublisher, watch: Watch) -> ReplayFigures:
    return replay(Recorded(), publisher, options, now_ms=NOW, clock=watch.clock, sleep=watch.sleep)


def test_each_recording_ends_now_on_its_own() -> None:
    publisher = MemoryPublisher()
    figures = run(ReplayOptions(), publisher, Watch())
    tweets = {event.event_id: event.ts for event in publisher.events if isinstance(event, TweetDeleted)}
    assert tweets == {"t0": NOW - 10_000, "t1": NOW, "t2": NOW - 4_000, "t3": NOW}
    assert (figures.first_ts, figures.last_ts) == (NOW - 10_000, NOW)


def test_kept_time_is_not_shifted() -> None:
    publisher = MemoryPublisher()
    figures = run(ReplayOptions(keep_time=True), publisher, Watch())
    assert (figures.first_ts, figures.last_ts) == (100_000, 504_000)
    assert publisher.events[0].ts == 5


def test_the_clock_of_every_partition_is_advanced_past_the_last_event_at_the_end() -> None:
    publisher = MemoryPublisher()
    figures = run(ReplayOptions(), publisher, Watch())
    clocks = publisher.events[-PARTITIONS:]
    assert all(isinstance(event, ClockAdvanced) and event.ts == NOW + 1 for event in clocks)
    assert len({event.event_id for event in clocks}) == PARTITIONS
    assert figures.clock_records == PARTITIONS
    assert not any(isinstance(event, ClockAdvanced) for event in publisher.events[:-PARTITIONS])


def test_a_recording_in_its_own_time_is_advanced_by_a_day_so_that_every_window_closes() -> None:
    assert run(ReplayOptions(keep_time=True), MemoryPublisher(), Watch()).clock_ts == 504_000 + DAY_MS


def test_at_a_speed_events_go_out_when_their_time_comes_and_the_last_one_is_then() -> None:
    watch, publisher = Watch(), MemoryPublisher()
    figures = run(ReplayOptions(speed=2.0), publisher, watch)
    assert watch.seconds == pytest.approx(5.0)
    assert figures.last_ts == NOW + 5_000
    assert figures.events_per_second == pytest.approx(1.0)


def test_what_happened_before_a_recording_is_not_waited_for() -> None:
    watch = Watch()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        watch.sleep(seconds)

    replay(
        Recorded(),
        MemoryPublisher(),
        ReplayOptions(speed=1.0),
        now_ms=NOW,
        clock=watch.clock,
        sleep=sleep,
    )
    assert sum(waits) == pytest.approx(10.0)


def test_the_figures_count_events_by_type() -> None:
    figures = run(ReplayOptions(), MemoryPublisher(), Watch())
    assert figures.events == 5
    assert figures.by_type == {"AccountRegistered": 1, "TweetDeleted": 4}


def test_a_log_that_does_not_take_the_events_stops_the_replay() -> None:
    with pytest.raises(LogUnavailableError, match=r"^The replay stopped: "):
        run(ReplayOptions(), MemoryPublisher(available=False), Watch())
