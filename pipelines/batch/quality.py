"""Great Expectations suites over what the batch jobs write; a failed expectation stops the step.

Suites run on pandas frames: in memory they cost a second where the Spark engine starts a job for every
expectation. Tables above ``MAX_ROWS`` are cut to a sample of whole entities, so that uniqueness still means
something. An ephemeral context: nothing is written but the results, ``<quality>/<table>.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.labels import ENGAGED, ENGAGING, LABELS
from features.names import View

MAX_ROWS = 1_000_000
MAX_CONTEXT_AGE_HOURS = 24 * 365 * 20


class DataQualityError(RuntimeError):
    """A table does not meet its expectations; the message is one sentence that names them."""


@dataclass(frozen=True)
class QualityReport:
    """The outcome of one suite."""

    table: str
    rows: int
    expectations: int
    failures: tuple[str, ...]


def view_suite(view: View, until: datetime) -> list[Any]:
    """What the offline rows of a view must meet: keys, one row per entity and moment, ranges, no future."""
    import great_expectations.expectations as gxe

    keyed = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in (*view.entities, "event_timestamp")]
    unique = gxe.ExpectCompoundColumnsToBeUnique(column_list=[*view.entities, "event_timestamp"])
    ranges = [
        gxe.ExpectColumnValuesToBeBetween(
            column=name, min_value=0, max_value=1 if name.endswith(("_rate", "_is_reply")) else None
        )
        for name in view.columns
    ]
    return [*keyed, unique, *ranges, _not_after(until)]


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


def validate(table: str, frame: pd.DataFrame, suite: Sequence[Any], results: Path) -> QualityReport:
    """Run a suite, write its results as JSON under ``results``.

    Raises:
        DataQualityError: an expectation is not met.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        # The default makes a folder for a documentation site under /tmp and leaves it there.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    batches = context.data_sources.add_pandas("offline").add_dataframe_asset(table)
    batch = batches.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(gx.ExpectationSuite(name=table, expectations=list(suite)))
    failures = tuple(_sentence(result) for result in outcome.results if not result.success)
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{table}.json").write_text(
        json.dumps(outcome.to_json_dict(), indent=1, default=str), encoding="utf-8"
    )
    if failures:
        raise DataQualityError(f"The table {table} fails {'; '.join(failures)} (see {results / table}.json).")
    return QualityReport(table, len(frame), len(outcome.results), failures)


def _not_after(until: datetime) -> Any:
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(column="event_timestamp", max_value=until.replace(tzinfo=None))


def _sentence(result: Any) -> str:
    config = result.expectation_config
    kwargs = config.kwargs
    subject = (
        kwargs.get("column") or kwargs.get("column_list") or [kwargs.get("column_A"), kwargs.get("column_B")]
    )
    columns = subject if isinstance(subject, str) else ", ".join(map(str, subject))
    count = result.result.get("unexpected_count")
    rows = f" in {count} rows" if count else ""
    return f"{config.type} on {columns}{rows}"
