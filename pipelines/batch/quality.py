"""Great Expectations suites over what the batch jobs write; a failed expectation stops the step.

Tables above ``MAX_ROWS`` are cut to a sample of whole entities, so that uniqueness still means something.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.labels import ENGAGED, ENGAGING, LABELS
from features.names import View

MAX_ROWS = 1_000_000
MAX_CONTEXT_AGE_HOURS = 24 * 365 * 20
MOST_POSITIVE = 0.9
"""A larger share of positive labels means that showings were lost, or acts credited twice."""
LARGEST = float(np.finfo(np.float32).max)
"""Infinite values are above it."""


def view_suite(view: View, until: datetime) -> list[Any]:
    """What the offline rows of a view must meet: keys, one row per entity and moment, ranges, no future."""
    import great_expectations.expectations as gxe

    keyed = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in (*view.entities, "event_timestamp")]
    unique = gxe.ExpectCompoundColumnsToBeUnique(column_list=[*view.entities, "event_timestamp"])
    return [*keyed, unique, *value_ranges(view), _not_after(until)]


def value_ranges(view: View) -> list[Any]:
    """That what is there of a view's columns is finite and not negative, and a rate at most 1."""
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column=name, min_value=0, max_value=1 if name.endswith(("_rate", "_is_reply")) else LARGEST
        )
        for name in view.columns
    ]


def examples_suite(until: datetime) -> list[Any]:
    """What the training examples must meet."""
    import great_expectations.expectations as gxe

    keys = ("request_id", "user", "author", "tweet", "event_timestamp", "position", *LABELS.values())
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in keys),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["request_id", "tweet"]),
        *(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=[0.0, 1.0]) for name in LABELS.values()),
        *(
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=LABELS[ENGAGED], column_B=LABELS[part], or_equal=True
            )
            for part in ENGAGING
        ),
        gxe.ExpectColumnValuesToBeBetween(column="position", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(
            column="context_age_hours", min_value=0, max_value=MAX_CONTEXT_AGE_HOURS
        ),
        gxe.ExpectColumnValuesToBeBetween(column="context_hour", min_value=0, max_value=24, strict_max=True),
        gxe.ExpectColumnValuesToBeInSet(column="context_is_retweet", value_set=[0.0, 1.0]),
        _not_after(until),
    ]


def labels_suite(until: datetime) -> list[Any]:
    """What a model can learn from: engaged items and others, no label nearly always, none of the future.

    A kind of act that nobody did is no fault: its head is left out.
    """
    import great_expectations.expectations as gxe

    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in LABELS.values()),
        gxe.ExpectColumnMeanToBeBetween(column=LABELS[ENGAGED], min_value=0, strict_min=True),
        *(gxe.ExpectColumnMeanToBeBetween(column=name, max_value=MOST_POSITIVE) for name in LABELS.values()),
        _not_after(until),
    ]


def interests_suite(until: datetime) -> list[Any]:
    """What readers' interests must meet."""
    import great_expectations.expectations as gxe

    keys = ("user", "similar", "topics", "weights", "event_timestamp")
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in keys),
        gxe.ExpectColumnValuesToBeUnique(column="user"),
        _not_after(until),
    ]


def bounded_sample(
    spark: SparkSession, folder: Path, rows: int, keys: Sequence[str], limit: int = MAX_ROWS
) -> pd.DataFrame:
    """The table in ``folder``, or about ``limit`` of its ``rows`` made of whole ``keys`` groups."""
    if rows > limit:
        table = spark.read.parquet(str(folder))
        share = F.lit(-(-rows // limit))
        folder = folder.with_name(f"{folder.name}.sample")
        sample = table.where(F.pmod(F.xxhash64(*keys), share) == 0)
        sample.write.mode("overwrite").parquet(str(folder))
    frame = pd.read_parquet(folder)
    # Great Expectations compares naive times only; Spark's are UTC.
    return frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_localize(None))


def _not_after(until: datetime) -> Any:
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(column="event_timestamp", max_value=until.replace(tzinfo=None))
