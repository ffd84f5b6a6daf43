"""Which days a build takes: what is new, what came late, and what it leaves."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from features.day_partitions import day_name
from pipelines.batch.days import (
    DayNotBuildableError,
    Ledger,
    day_span,
    definitions,
    forget,
    plan,
    read_ledger,
    remember,
)
from pipelines.batch.features_job import credited_since_ms
from pipelines.batch.ticks import BuildTime
from timelines.durations import DAY_MS, HOUR_MS

START = 20_000 * DAY_MS
LATE = 2


def day(number: int) -> str:
    return day_name(START + number * DAY_MS)


LAKE = {day(number): 10 + number for number in range(6)}


def ledger(until_ms: int) -> Ledger:
    return Ledger(until_ms, {name: LAKE[name] for name in LAKE if name < day_name(until_ms)}, definitions())


def test_without_a_ledger_or_after_a_change_of_definitions_everything_is_built() -> None:
    assert plan(None, LAKE, START + DAY_MS, LATE).since_ms == 0
    other = msgspec.structs.replace(ledger(START + 5 * DAY_MS), definitions="others")
    assert plan(other, LAKE, START + DAY_MS, LATE).since_ms == 0


def test_another_attribution_window_has_everything_built_again() -> None:
    until = START + 5 * DAY_MS
    assert plan(ledger(until), LAKE, until, LATE, attribution_ms=1000).since_ms == 0
    with pytest.raises(DayNotBuildableError):
        day_span(ledger(until), LAKE, START + 3 * DAY_MS, until, attribution_ms=1000)


@pytest.mark.parametrize("hours", [1, 24, 30])
def test_examples_are_made_again_by_whole_days_however_long_the_window(hours: int) -> None:
    """They lie by the day, and a day is replaced as a whole."""
    build = BuildTime(START + 3 * DAY_MS, datetime.now(UTC), START + 2 * DAY_MS, hours * HOUR_MS)
    assert credited_since_ms(build) == START + (0 if hours > 24 else DAY_MS)
    assert credited_since_ms(dataclasses.replace(build, since_ms=0)) == 0


def test_a_build_goes_on_with_the_day_after_the_last_whole_one() -> None:
    span = plan(ledger(START + 5 * DAY_MS), LAKE, START + 6 * DAY_MS, LATE)
    assert (span.since_ms, span.until_ms) == (START + 5 * DAY_MS, START + 6 * DAY_MS)


def test_a_day_that_was_built_in_part_is_built_again_from_its_start() -> None:
    assert plan(ledger(START + 5 * DAY_MS + 7), LAKE, START + 6 * DAY_MS, LATE).since_ms == START + 5 * DAY_MS


def test_what_is_built_up_to_that_moment_is_not_built_again() -> None:
    until = START + 5 * DAY_MS
    assert plan(ledger(until), LAKE, until, LATE).empty


def test_a_late_event_has_its_day_and_all_after_it_built_again() -> None:
    until = START + 5 * DAY_MS
    span = plan(ledger(until), {**LAKE, day(3): 99}, until, LATE)
    assert span.since_ms == START + 3 * DAY_MS
    assert span.left == ()


def test_an_event_later_than_the_horizon_is_told_of_and_left() -> None:
    until = START + 5 * DAY_MS
    span = plan(ledger(until), {**LAKE, day(1): 99}, until, LATE)
    assert span.empty
    assert span.left == (day(1),)


def test_a_build_up_to_an_earlier_moment_begins_with_the_day_of_that_moment() -> None:
    assert plan(ledger(START + 5 * DAY_MS), LAKE, START + 2 * DAY_MS + 5, LATE).since_ms == START + 2 * DAY_MS


def test_one_day_needs_the_days_before_it() -> None:
    assert day_span(ledger(START + 3 * DAY_MS), LAKE, START + 3 * DAY_MS, START + 9 * DAY_MS).since_ms == (
        START + 3 * DAY_MS
    )
    assert day_span(None, LAKE, START, START + 9 * DAY_MS).since_ms == 0
    with pytest.raises(DayNotBuildableError, match=r"days before .* are not built: run"):
        day_span(ledger(START + 2 * DAY_MS), LAKE, START + 3 * DAY_MS, START + 9 * DAY_MS)
    with pytest.raises(DayNotBuildableError, match="has not begun"):
        day_span(ledger(START + 3 * DAY_MS), LAKE, START + 3 * DAY_MS, START + 3 * DAY_MS)


def test_a_build_that_ends_halfway_leaves_no_word_of_the_days_it_was_to_replace(tmp_path: Path) -> None:
    remember(tmp_path, START + 5 * DAY_MS, {name: LAKE[name] for name in LAKE if name < day(5)})
    forget(tmp_path, START + 3 * DAY_MS)
    kept = read_ledger(tmp_path)
    assert kept is not None
    assert kept.until_ms == START + 3 * DAY_MS
    assert sorted(kept.lake) == [day(0), day(1), day(2)]
    forget(tmp_path, 0)
    assert read_ledger(tmp_path) is None


def test_late_events_of_a_day_that_was_not_built_again_are_not_taken_for_built(tmp_path: Path) -> None:
    remember(tmp_path, START + 5 * DAY_MS, LAKE)
    changed = {**LAKE, day(1): 99, day(4): 77}
    forget(tmp_path, START + 4 * DAY_MS)
    remember(tmp_path, START + 5 * DAY_MS, changed)
    kept = read_ledger(tmp_path)
    assert kept is not None
    assert (kept.lake[day(1)], kept.lake[day(4)]) == (LAKE[day(1)], 77)
