"""What a part of the lake and what is looked up for it say of that part is what the whole lake says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from random_lake import START, UNTIL, random_events

from ingestion.lake_files import write_lake
from timelines.durations import DAY_MS

pytestmark = pytest.mark.spark

SINCE = START + 2 * DAY_MS


def test_changes_and_examples_of_a_day_are_those_of_the_whole_lake(spark: Any, tmp_path: Path) -> None:
    from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

    from pipelines.batch import acts, training_examples
    from pipelines.batch.earlier import read_span
    from pipelines.batch.lake import LakeEvents, read_lake
    from pipelines.batch.showings import showing_changes, showings

    lake = write_lake(tmp_path / "lake", random_events(9))

    def found(events: LakeEvents) -> dict[str, pd.DataFrame]:
        engagements = acts.engagements(events).cache()
        follows = acts.changes(acts.follows(events)).cache()
        mentions = acts.mentions(events)
        shown = showings(events.impressions, engagements, mentions, events.reports).cache()
        examples = training_examples.transform(shown, events.tweets, follows)
        born = engagements.withColumn("born", F.col("ts"))
        frames = {
            "follows": follows,
            "engagements": acts.changes(born),
            "authored": acts.changes(acts.authored(events)),
            "mentions": mentions,
            "outcomes": showing_changes(shown),
        }
        tables = {name: frame.where(F.col("ts") >= SINCE) for name, frame in frames.items()}
        tables["examples"] = examples.where(F.unix_millis("event_timestamp") >= SINCE - DAY_MS)
        return {name: sorted_rows(table.toPandas()) for name, table in tables.items()}

    part = found(read_span(spark, lake, "", SINCE - DAY_MS, UNTIL))
    whole = found(read_lake(spark, lake, "", UNTIL))
    for name, table in whole.items():
        assert len(table)
        pd.testing.assert_frame_equal(part[name], table, obj=name)


def sorted_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(list(table.columns[:6])).reset_index(drop=True)
