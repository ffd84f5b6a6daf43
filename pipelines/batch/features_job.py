"""Builds the offline features and the training examples from the lake: the batch side of the data path.

A table is written beside its final place, checked, and only then put there, so bad data replaces nothing. All
tables but the readers' interests lie by the day, and a build replaces the days that it covers.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.day_partitions import STAGING, day_name, newest_parts, put, read_days, stage
from features.examples import TRAINING_EXAMPLES, outdate
from features.interests import READER_INTERESTS
from features.label_window import LabelWindow, write_label_window
from features.labels import LABELS
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
from pipelines.batch.days import forget, remember
from pipelines.batch.earlier import read_span
from pipelines.batch.lake import LakeEvents, read_lake
from pipelines.batch.lake_days import COUNTED, lake_state, newest_event_ms
from pipelines.batch.showings import showing_changes, showings
from pipelines.batch.ticks import BuildTime, carried_rows
from pipelines.batch.validation import examined, validate
from timelines.durations import DAY_MS

LABELS_TABLE = "labels"

Earlier = Callable[[View], DataFrame | None]


@dataclass(frozen=True)
class Table:
    """One table of the offline store: a plan that nothing has run yet, and what it must meet.

    The plan makes all days from ``since_ms`` on; with None the table is not kept by the day.
    """

    name: str
    frame: DataFrame
    keys: tuple[str, ...]
    suite: Callable[[datetime], Sequence[Any]]
    since_ms: int | None


@dataclass(frozen=True)
class BuiltTable:
    """What one step wrote, and what the check of it took."""

    name: str
    rows: int
    expectations: int
    seconds: float


def tables(events: LakeEvents, lately: LakeEvents, build: BuildTime, earlier: Earlier) -> Iterator[Table]:
    """Every table, in the order in which they share what is computed once.

    Args:
        events: ``earlier.read_span`` from ``credited_since_ms`` on.
        lately: the events that make up readers' interests.
        build: which time, and when, is built.
        earlier: of a view ``ticks.carried_rows`` of the days before; None where there are none.
    """
    events = replace(events, tweets=events.tweets.cache())
    engagements = acts.engagements(events).cache()
    follows = acts.changes(acts.follows(events)).cache()
    authored = acts.changes(acts.authored(events)).cache()
    received = acts.changes(engagements.where("author IS NOT NULL").withColumn("born", F.col("ts")))
    mentions = acts.mentions(events)
    shown = showings(events.impressions, engagements, mentions, events.reports, build.attribution_ms).cache()
    outcomes = showing_changes(shown)

    def totals(view: View, transform: Callable[..., DataFrame], *inputs: DataFrame) -> Table:
        return _view(view, transform(*inputs, build, earlier(view)), build)

    yield totals(USER_ACTIVITY, user_activity.transform, outcomes, follows, authored)
    yield totals(AUTHOR_POPULARITY, author_popularity.transform, outcomes, follows, authored, received)
    yield totals(USER_AUTHOR_AFFINITY, user_author_affinity.transform, outcomes, received)
    yield _view(TWEET_CONTENT, tweet_content.transform(events.tweets, build), build)
    yield totals(TWEET_ENGAGEMENT, tweet_engagement.transform, engagements)
    yield totals(USER_AUTHOR_RECENT, user_author_recent.transform, received)
    ratings = reader_interests.ratings(
        acts.engagements(lately), lately.reports, lately.tweets, lately.deletions, build
    ).cache()
    interests = reader_interests.transform(ratings, build)
    yield Table(READER_INTERESTS, interests, ("user",), quality.interests_suite, None)
    examples = training_examples.transform(shown, events.tweets, follows)
    since = credited_since_ms(build)
    yield Table(TRAINING_EXAMPLES, examples, ("request_id",), quality.examples_suite, since)


def credited_since_ms(build: BuildTime) -> int:
    """From when on showings may be credited with what a build covers: their examples are made anew, by whole
    days, as that is how tables are replaced."""
    return max(build.since_ms - build.attribution_ms, 0) // DAY_MS * DAY_MS


def run(
    spark: SparkSession,
    lake: Path,
    namespace: str,
    offline: Path,
    results: Path,
    build: BuildTime,
    done: Callable[[BuiltTable], None],
) -> list[BuiltTable]:
    """Write every table under ``offline``/<name>, replacing what was there from the first day of the build
    on, and tell ``done`` of each.

    Without impressions the examples are an empty, well-formed table.

    Args:
        lake: the lake's root; ``namespace`` is the level below it.
        offline: the folder of this namespace's tables.
        results: where the results of the checks go.

    Raises:
        DataQualityError: a table does not meet its expectations; it and those after it stay as they were.
    """
    built = []
    until = datetime.fromtimestamp(build.until_ms / 1000, tz=UTC)
    state = lake_state(lake, namespace, build.until_ms, offline / COUNTED)
    forget(offline, build.since_ms)
    outdate(offline, credited_since_ms(build))
    # Before they are read: what arrives meanwhile is then not taken for seen.
    newest_ms = newest_event_ms(lake, namespace, build.until_ms)
    events = read_span(spark, lake, namespace, credited_since_ms(build), build.until_ms)
    lately = read_lake(spark, lake, namespace, build.until_ms, max(reader_interests.since_ms(build), 0))

    def earlier(view: View) -> DataFrame | None:
        rows = read_days(spark, offline / view.name, before=day_name(build.since_ms))
        return None if rows is None else carried_rows(rows, view.entities)

    for table in tables(events, lately, build, earlier):
        started = time.monotonic()
        staged = _staged(table, offline, build)
        rows = spark.read.parquet(str(staged)).count()
        sample = quality.bounded_sample(spark, staged, rows, table.keys)
        report = validate(table.name, sample, table.suite(until), results)
        _put(table, staged, offline)
        if table.name == TRAINING_EXAMPLES:
            _examine_labels(offline / TRAINING_EXAMPLES, until, results)
        outcome = BuiltTable(table.name, rows, report.expectations, time.monotonic() - started)
        built.append(outcome)
        done(outcome)
    shutil.rmtree(offline / STAGING, ignore_errors=True)
    write_label_window(offline, LabelWindow(newest_ms, build.attribution_ms))
    remember(offline, build.until_ms, state, build.attribution_ms)
    spark.catalog.clearCache()
    return built


def _examine_labels(examples: Path, until: datetime, results: Path) -> None:
    """Told, not refused: features are of use without labels, and a model asks for them.

    Of the newest days, where what goes wrong begins.
    """
    columns = [*LABELS.values(), "event_timestamp"]
    parts = newest_parts(examples, quality.MAX_ROWS)
    frame = pd.concat([pd.read_parquet(part, columns=columns, partitioning=None) for part in parts])
    if len(frame):
        # Great Expectations compares naive times only; Spark's are UTC.
        naive = frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_localize(None))
        examined(LABELS_TABLE, naive, quality.labels_suite(until), results)


def _view(view: View, frame: DataFrame, build: BuildTime) -> Table:
    return Table(
        view.name, frame, view.entities, lambda until: quality.view_suite(view, until), build.since_ms
    )


def _staged(table: Table, offline: Path, build: BuildTime) -> Path:
    """Where the table's rows are written, beside its final place."""
    if table.since_ms is not None:
        return stage(table.frame, offline / table.name, day_name(build.until_ms - 1))
    staged = (offline / STAGING / table.name).absolute()
    table.frame.write.mode("overwrite").parquet(str(staged))
    return staged


def _put(table: Table, staged: Path, offline: Path) -> None:
    final = offline / table.name
    if table.since_ms is not None:
        put(staged, final, day_name(table.since_ms))
        return
    shutil.rmtree(final, ignore_errors=True)
    staged.rename(final.absolute())
