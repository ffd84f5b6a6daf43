"""Running and decaying totals carried from day to day are those of all days at once."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from timelines.durations import DAY_MS

pytestmark = pytest.mark.spark

HOUR = 3_600_000
START = 20_000 * DAY_MS
DAYS = 3


def states(seed: int) -> list[tuple[int, int, int, int]]:
    """Key, moment, when it began and delta: what begins may end hours or days later."""
    draw = random.Random(seed)
    changes = []
    for _ in range(200):
        key, born = draw.randrange(5), START + draw.randrange(DAYS * DAY_MS)
        # Now and then right at an hour or a midnight.
        born -= born % draw.choice([1, 1, HOUR, DAY_MS])
        changes.append((key, born, born, 1))
        if draw.random() < 0.4:
            changes.append((key, born + draw.randrange(2 * DAY_MS), born, -1))
    return changes


def test_day_after_day_is_the_same_as_all_at_once(spark: Any) -> None:
    from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

    from pipelines.batch.ticks import BuildTime, carried_rows, decayed_totals, feature_rows, running_totals

    changes = spark.createDataFrame(states(1), "k long, ts long, born long, delta int").cache()
    lifetimes = {"quick": 6 * 3600.0, "slow": 7 * 86_400.0}

    def rows(since_ms: int, until_ms: int, earlier: Any) -> Any:
        build = BuildTime(until_ms, datetime.fromtimestamp(0, tz=UTC), since_ms)
        known = changes.where(F.col("ts") < until_ms).withColumn("twice", 2 * F.col("delta"))
        counts = ["delta", "twice"]
        totals = running_totals(known, ["k"], counts, HOUR, build, ["born"], earlier)
        decayed = decayed_totals(known, ["k"], lifetimes, HOUR, build, earlier)
        both = totals.join(decayed, on=["k", "tick"])
        return feature_rows(both, ["k"], list(lifetimes), build, [*counts, "born", *lifetimes])

    def frame(part: Any) -> pd.DataFrame:
        at = F.unix_millis("event_timestamp").alias("at")
        return pd.DataFrame(part.select("k", at, "day", "carried.*").toPandas())

    whole = frame(rows(0, START + DAYS * DAY_MS, None))
    parts, earlier = [], None
    for day in range(DAYS):
        part = rows(START + day * DAY_MS, START + (day + 1) * DAY_MS, earlier).cache()
        parts.append(frame(part))
        carried = carried_rows(part, ["k"])
        earlier = carried if earlier is None else earlier.unionByName(carried)
    daily = pd.concat(parts)
    assert set(whole["day"]) == {"2024-10-04", "2024-10-05", "2024-10-06"}
    in_order = [table.sort_values(["k", "at"]).reset_index(drop=True) for table in (daily, whole)]
    pd.testing.assert_frame_equal(*in_order, rtol=1e-9, atol=1e-9)
