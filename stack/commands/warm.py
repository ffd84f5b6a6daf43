"""``tideline warm``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from timelines.durations import DAY_MS, HOUR_MS

KEEP_MS = 2 * HOUR_MS
"""A warmed timeline that nobody reads is gone after the hour it was for and one more."""


def warm(
    hour: Annotated[
        int | None, typer.Option(min=0, max=23, help="The hour (UTC) that begins; the next without it.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How far back reading is looked at.")] = 28,
    least_days: Annotated[int, typer.Option(min=1, help="On how many of these days the hour was kept.")] = 3,
    rate: Annotated[float, typer.Option(min=0.1, help="Readers per second at most.")] = 200.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Rebuild expired home timelines of readers whose usual hour begins, from the impressions in the lake.

    Timelines that are there are not touched, and warmed ones expire soon unless they are read. Interrupted,
    it goes on where it stopped.
    """
    from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

    from features.settings import FeatureStoreSettings
    from features.spark_session import spark_session
    from ingestion.events import Impression
    from pipelines.batch import usual_hours
    from pipelines.batch.lake import read_events
    from pipelines.settings import StreamSettings
    from stack.warming import Run
    from timelines.keys import Keyspace
    from timelines.warming import missing

    settings = StreamSettings()
    now = datetime.now(UTC)
    begins = (now + timedelta(hours=1)).hour if hour is None else hour
    spark = spark_session(FeatureStoreSettings().features)
    until_ms = int(now.timestamp() * 1000)
    impressions = read_events(spark, settings.lake.path, settings.namespace, Impression)
    usual = usual_hours.transform(impressions, until_ms - days * DAY_MS, until_ms)
    rows = usual.where((F.col("hour") == begins) & (F.col("days") >= least_days)).select("user").collect()
    readers = sorted(row.user for row in rows)

    async def expired(client: Any, keys: Keyspace) -> list[int]:
        return await missing(client, keys, readers)

    folder, namespace = Path(settings.home) / "rebuild", settings.namespace or "live"
    place = folder / f"{namespace}-warm-{now:%Y-%m-%d}-{begins:02d}.json"
    figures = Run(f"warm --hour {begins}", place, rate, KEEP_MS).finish(settings, expired)
    if as_json:
        typer.echo(json.dumps({"hour": begins, "usual": len(readers), **figures}))
    else:
        typer.echo(
            f"{len(readers):,} readers come at {begins}:00 UTC, {figures['readers']:,} of them without a "
            f"timeline; {figures['rebuilt']:,} rebuilt in {figures['seconds']} s."
        )
