"""Builds the offline features and the training examples from the lake: the batch side of the data path.

A table is written beside its final place, checked, and only then put there, so bad data replaces nothing.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.interests import READER_INTERESTS
from features.names import (
    AUTHOR_POPULARITY,
    TWEET_CONTENT,
    TWEET_ENGAGEMENT,
    USER_ACTIVITY,
    USER_AUTHOR_AFFINITY,
    USER_AUTHOR_RECENT,
    View,
)
from pipelines.batch import (
    acts,
    author_popularity,
    quality,
    reader_interests,
    training_examples,
    tweet_content,
    tweet_engagement,
    user_activity,
    user_author_affinity,
    user_author_recent,
)
from pipelines.batch.lake import LakeEvents, read_lake
from pipelines.batch.showings import showing_changes, showings
from pipelines.batch.ticks import BuildTime
from pipelines.batch.validation import examined, validate

TRAINING_EXAMPLES = "training_examples"
LABELS = "labels"
STAGING = ".staging"
BUILDS = "_builds.json"
MOST_EARLIER_BUILDS = 48


@dataclass(frozen=True)
class Table:
    """One table of the offline store: a plan that nothing has run yet, and what it must meet."""

    name: str
    frame: DataFrame
    keys: tuple[str, ...]
    suite: Callable[[datetime], Sequence[Any]]


@dataclass(frozen=True)
class BuiltTable:
    """What one step wrote, and what the check of it took."""

    name: str
    rows: int
    expectations: int
    seconds: float


def tables(events: LakeEvents, build: BuildTime) -> Iterator[Table]:
    """Every table, in the order in which they share what is computed once."""
    engagements = acts.engagements(events).cache()
    follows = acts.changes(acts.follows(events)).cache()
    authored = acts.changes(acts.authored(events)).cache()
    received = acts.changes(engagements.where("author IS NOT NULL").withColumn("born", F.col("ts")))
    shown = showings(events.impressions, engagements, acts.mentions(events), events.reports).cache()
    outcomes = showing_changes(shown)
    yield _view(USER_ACTIVITY, user_activity.transform(outcomes, follows, authored, build))
    yield _view(AUTHOR_POPULARITY, author_popularity.transform(outcomes, follows, authored, received, build))
    yield _view(USER_AUTHOR_AFFINITY, user_author_affinity.transform(outcomes, received, build))
    yield _view(TWEET_CONTENT, tweet_content.transform(events.tweets, build))
    yield _view(TWEET_ENGAGEMENT, tweet_engagement.transform(engagements, build))
    yield _view(USER_AUTHOR_RECENT, user_author_recent.transform(received, build))
    ratings = reader_interests.ratings(
        engagements, events.reports, events.tweets, events.deletions, build
    ).cache()
    interests = reader_interests.transform(ratings, build)
    yield Table(READER_INTERESTS, interests, ("user",), quality.interests_suite)
    examples = training_examples.transform(shown, events.tweets, follows)
    yield Table(TRAINING_EXAMPLES, examples, ("request_id",), quality.examples_suite)


def run(
    spark: SparkSession,
    lake: Path,
    namespace: str,
    offline: Path,
    results: Path,
    build: BuildTime,
    done: Callable[[BuiltTable], None],
) -> list[BuiltTable]:
    """Write every table under ``offline``/<name>, replacing what was there, and tell ``done`` of each.

    Without impressions the examples are an empty, well-formed table.

    Args:
        lake: the lake's root; ``namespace`` is the level below it.
        offline: the folder of this namespace's tables.
        results: where the results of the checks go.

    Raises:
        DataQualityError: a table does not meet its expectations; it and those after it stay as they were.
    """
    built = []
    build = replace(build, earlier_ms=tuple(end for end in _ends(offline) if end < build.until_ms))
    until = datetime.fromtimestamp(build.until_ms / 1000, tz=UTC)
    for table in tables(read_lake(spark, lake, namespace, build.until_ms), build):
        started = time.monotonic()
        staged = (offline / STAGING / table.name).absolute()
        table.frame.write.mode("overwrite").parquet(str(staged))
        rows = spark.read.parquet(str(staged)).count()
        sample = quality.bounded_sample(spark, staged, rows, table.keys)
        report = validate(table.name, sample, table.suite(until), results)
        if table.name == TRAINING_EXAMPLES and len(sample):
            # Told, not refused: features are of use without labels, and a model asks for them.
            examined(LABELS, sample, quality.labels_suite(until), results)
        final = offline / table.name
        shutil.rmtree(final, ignore_errors=True)
        staged.rename(final.absolute())
        outcome = BuiltTable(table.name, rows, report.expectations, time.monotonic() - started)
        built.append(outcome)
        done(outcome)
    shutil.rmtree(offline / STAGING, ignore_errors=True)
    spark.catalog.clearCache()
    ends = sorted({*build.earlier_ms, build.until_ms})[-MOST_EARLIER_BUILDS:]
    (offline / BUILDS).write_text(json.dumps(ends), encoding="utf-8")
    return built


def _ends(offline: Path) -> list[int]:
    """When the last builds ended, milliseconds UTC."""
    try:
        return [int(end) for end in json.loads((offline / BUILDS).read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        # Without them the hourly ticks remain.
        return []


def _view(view: View, frame: DataFrame) -> Table:
    return Table(view.name, frame, view.entities, lambda until: quality.view_suite(view, until))
