"""``tideline features``."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from features.day_partitions import day_name
from features.settings import FeatureStoreSettings
from stack.commands.features_doctor import doctor
from stack.commands.features_parity import parity
from stack.errors import UserError
from stack.moments import utc_ms, utc_or_now

app = typer.Typer(
    help="The offline features, the feature registry and the online store.", no_args_is_help=True
)
app.command()(doctor)
app.command()(parity)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of a line per table.")]
Until = Annotated[
    datetime | None, typer.Option(help="Cover what happened before this moment (UTC); now without it.")
]


@app.command()
def build(
    until: Until = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="This day (UTC), whatever is built of it.")
    ] = None,
    full: Annotated[bool, typer.Option(help="All days anew, whatever is built already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build the offline features and training examples from the lake, and check them.

    Days that are built already are left, but for those that events came late to. The registry is brought up
    to date and the examples are joined with their features in the same Spark session, so that training finds
    the frame ready.
    """
    from stack.offline_tables import offline_tables

    settings = _settings()
    with offline_tables(settings, "tideline features build", as_json):
        _build(settings, utc_or_now(until), day, full, as_json)


def _build(
    settings: FeatureStoreSettings, until: datetime, day: datetime | None, full: bool, as_json: bool
) -> None:
    from features.examples import TRAINING_FRAME, unjoined_since
    from features.historical import examples_built, join_examples
    from features.spark_session import spark_session
    from features.store import apply_repo, offline_folder, open_store
    from pipelines.batch.days import DayNotBuildableError, day_span, plan, read_ledger
    from pipelines.batch.features_job import BuiltTable, run
    from pipelines.batch.lake_days import COUNTED, lake_state
    from pipelines.batch.ticks import BuildTime
    from pipelines.batch.validation import write_data_docs

    until_ms = utc_ms(until)
    folder, window_ms = offline_folder(settings), settings.features.attribution_ms
    ledger = None if full else read_ledger(folder)
    state = lake_state(settings.lake.path, settings.namespace, until_ms, folder / COUNTED)
    try:
        if day is None:
            span = plan(ledger, state, until_ms, settings.features.late_days, window_ms)
        else:
            span = day_span(ledger, state, utc_ms(day), until_ms, window_ms)
    except DayNotBuildableError as error:
        raise UserError(str(error)) from error
    moment = BuildTime(span.until_ms, datetime.now(UTC), span.since_ms, window_ms)

    def say(line: str) -> None:
        if not as_json:
            typer.echo(line)

    def done(table: BuiltTable) -> None:
        say(
            f"{table.name:<24}{table.rows:>10,} rows  "
            f"{table.expectations:>3} expectations met  {table.seconds:6.1f} s"
        )

    if span.left:
        days = ", ".join(span.left)
        typer.echo(f"Events of {days} came too late to be taken in: `--full` builds all days.", err=True)
    built: list[BuiltTable] = []
    if span.empty:
        say("Everything is built.")
    else:
        say(f"Building {f'from {day_name(span.since_ms)} on' if span.since_ms else 'all days'}.")
        spark = spark_session(settings.features)
        results = settings.features.quality / settings.namespace
        try:
            built = run(spark, settings.lake.path, settings.namespace, folder, results, moment, done)
        finally:
            write_data_docs(results)
    # Also where an earlier build ended between its examples and their join.
    if unjoined_since(folder) is not None:
        if examples_built(settings):
            apply_repo(open_store(settings), settings)
            say(f"{TRAINING_FRAME:<24}{join_examples(settings):>10,} rows")
        else:
            say("The log has no impressions, so there are no training examples.")
    if as_json:
        rows = {table.name: table.rows for table in built}
        seconds = {table.name: round(table.seconds, 3) for table in built}
        since = day_name(span.since_ms) if span.since_ms else None
        typer.echo(json.dumps({"since": since, "rows": rows, "seconds": seconds}))


@app.command()
def apply() -> None:
    """Register entities, views and the feature service with Feast."""
    from features.store import apply_repo, open_store
    from stack.offline_tables import offline_tables

    settings = _settings()
    with offline_tables(settings, "tideline features apply"):
        registered = apply_repo(open_store(settings), settings)
    typer.echo(f"{registered} objects registered.")


@app.command()
def materialize(
    until: Until = None,
    full: Annotated[bool, typer.Option(help="All rows within their ttl: after the store was lost.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the newest offline rows, and write them to the online store, from where the last run ended, with
    what readers are interested in.

    Rows that do not meet what is expected are not written, and the exit code is 1.
    """
    from stack.offline_tables import offline_tables

    settings = _settings()
    with offline_tables(settings, "tideline features materialize", as_json):
        _materialize(settings, utc_or_now(until), full, as_json)


def _materialize(settings: FeatureStoreSettings, end: datetime, full: bool, as_json: bool) -> None:
    import redis

    from features.interests import materialize_interests
    from features.store import MaterializedView, open_store
    from features.store import materialize as run
    from pipelines.batch.before_materialization import check_rows

    check_rows(settings, end)

    def done(view: MaterializedView) -> None:
        if not as_json:
            typer.echo(f"{view.name:<24}{view.rows:>10,} rows  {view.seconds:6.1f} s")

    try:
        views = run(open_store(settings), settings, end, done, full)
        views.append(materialize_interests(settings))
        done(views[-1])
    except redis.RedisError as error:
        raise UserError(f"The online store does not answer ({error}).") from error
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "rows": {view.name: view.rows for view in views},
                    "seconds": {view.name: round(view.seconds, 3) for view in views},
                }
            )
        )


def _settings() -> FeatureStoreSettings:
    from stack.java import JavaNotFoundError, find_java

    try:
        # Spark starts the Java that JAVA_HOME names, whatever else is on the PATH.
        os.environ["JAVA_HOME"] = str(find_java(os.environ))
    except JavaNotFoundError as error:
        raise UserError(str(error)) from error
    return FeatureStoreSettings()
