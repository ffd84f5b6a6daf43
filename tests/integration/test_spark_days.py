"""Features built a day at a time are those of one build of everything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from random_lake import DAYS, HOUR, START, UNTIL, random_events

from features.day_partitions import days_in
from features.labels import ATTRIBUTION_MS
from ingestion.lake_files import write_lake
from timelines.durations import DAY_MS

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]


def build(
    spark: Any, lake: Path, offline: Path, until_ms: int, since_ms: int = 0, window_ms: int = ATTRIBUTION_MS
) -> None:
    from pipelines.batch.features_job import run
    from pipelines.batch.ticks import BuildTime

    moment = BuildTime(until_ms, datetime.fromtimestamp(UNTIL / 1000, tz=UTC), since_ms, window_ms)
    run(spark, lake, "", offline, offline / "quality", moment, lambda table: None)


def build_what_is_new(
    spark: Any, lake: Path, offline: Path, until_ms: int, window_ms: int = ATTRIBUTION_MS
) -> int:
    """As ``tideline features build``; from when on it built."""
    from pipelines.batch.days import plan, read_ledger
    from pipelines.batch.lake_days import lake_state

    span = plan(read_ledger(offline), lake_state(lake, "", until_ms), until_ms, 2, window_ms)
    build(spark, lake, offline, span.until_ms, span.since_ms, window_ms)
    return span.since_ms


def rows(offline: Path) -> dict[str, pd.DataFrame]:
    """Every table, in an order of its own."""
    found = {}
    for folder in sorted(path for path in offline.iterdir() if path.is_dir() and path.name != "quality"):
        table = pd.read_parquet(folder).drop(columns=["created", "carried"], errors="ignore")
        keys = [
            name for name in ("request_id", "user", "author", "tweet", "event_timestamp") if name in table
        ]
        found[folder.name] = table.sort_values(keys).reset_index(drop=True)
    return found


def assert_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        assert len(table)
        if "day" in table:
            other = found[name].assign(day=found[name]["day"].astype(str))
            pd.testing.assert_frame_equal(
                other, table.assign(day=table["day"].astype(str)), rtol=1e-5, obj=name
            )
        else:
            pd.testing.assert_frame_equal(found[name], table, rtol=1e-5, obj=name)


@pytest.mark.parametrize("window_ms", [HOUR, ATTRIBUTION_MS])
def test_day_after_day_is_the_same_as_all_at_once(spark: Any, tmp_path: Path, window_ms: int) -> None:
    """Whether a build makes a day's last showings anew, or all of them: it is the days that it replaces."""
    lake, daily = write_lake(tmp_path / "lake", random_events(3)), tmp_path / "daily"
    began = [build_what_is_new(spark, lake, daily, START + DAY_MS, window_ms)]
    first = {file: file.stat().st_mtime_ns for file in (daily / "author_popularity").rglob("*.parquet")}
    # The second build ends within a day, which the third begins anew.
    began += [
        build_what_is_new(spark, lake, daily, until, window_ms)
        for until in (START + DAY_MS + 7 * HOUR + 5, UNTIL)
    ]
    assert began == [0, START + DAY_MS, START + DAY_MS]
    assert len(days_in(daily / "author_popularity")) == DAYS
    assert {file: file.stat().st_mtime_ns for file in first} == first
    build(spark, lake, tmp_path / "whole", UNTIL, window_ms=window_ms)
    assert_same(rows(daily), rows(tmp_path / "whole"))


def test_late_events_are_in_after_the_next_build_even_if_one_failed_in_between(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.batch import features_job, validation

    def refuses(table: str, *arguments: Any) -> Any:
        if table == "user_author_affinity":
            raise validation.DataQualityError("The table fails.")
        return validate(table, *arguments)

    events, since = random_events(5), START + (DAYS - 1) * DAY_MS
    late = [event for event in events if event.ts >= since][::3]
    lake = write_lake(tmp_path / "lake", [event for event in events if event not in late])
    daily = tmp_path / "daily"
    build(spark, lake, daily, UNTIL)
    write_lake(lake, late, part="part-1")
    validate = validation.validate
    with monkeypatch.context() as patch:
        patch.setattr(features_job, "validate", refuses)
        with pytest.raises(validation.DataQualityError):
            build_what_is_new(spark, lake, daily, UNTIL)
    assert build_what_is_new(spark, lake, daily, UNTIL) == since
    build(spark, lake, tmp_path / "whole", UNTIL)
    assert_same(rows(daily), rows(tmp_path / "whole"))
