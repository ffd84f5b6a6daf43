"""Running totals at ticks: a row stamped at a tick covers what happened strictly before it.

Rows exist only at ticks before which something changed, so an entity that rests costs nothing, and a
point-in-time join takes the newest row at or before its moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

from features.labels import ATTRIBUTION_MS

CHANGE_MS = 1
"""Ticks so close that each change has a row of its own: the twins of what the stream writes at once."""
CARRIED = "carried"
# Lifetimes in one block of time of ``decayed_totals``: exp(256) and its sums are doubles.
_BLOCK = 256


@dataclass(frozen=True)
class BuildTime:
    """``until_ms``: what happens from then on is not covered; ``created``: the wall clock of the build;
    ``since_ms``: what happened before is built already, the start of a day or 0. ``attribution_ms`` after a
    showing, acts are still credited to it.
    """

    until_ms: int
    created: datetime
    since_ms: int = 0
    attribution_ms: int = ATTRIBUTION_MS


def next_tick(ts: Column, every_ms: int, build: BuildTime) -> Column:
    """The first tick strictly after ``ts`` (milliseconds), as milliseconds.

    The tick that the build's end cuts short is at that end, so that no row claims a later moment.
    """
    return F.least((F.floor(ts / every_ms) + 1) * every_ms, F.lit(build.until_ms))


def running_totals(
    changes: DataFrame,
    keys: Sequence[str],
    totals: Sequence[str],
    every_ms: int,
    build: BuildTime,
    latest: Sequence[str] = (),
    earlier: DataFrame | None = None,
) -> DataFrame:
    """``keys``, ``tick`` (ms), ``totals`` summed and ``latest`` at their greatest until then, for the ticks
    that the build covers.

    Args:
        changes: rows with ``keys``, ``ts`` in milliseconds, and the columns of ``totals`` and ``latest``.
        earlier: rows with ``keys``, ``tick``, ``totals`` and ``latest`` of the days that are built already.
    """
    new = changes.where(F.col("ts") >= build.since_ms)
    ticked = new.withColumn("tick", next_tick(F.col("ts"), every_ms, build)).groupBy(*keys, "tick")
    per_tick = ticked.agg(
        *(F.sum(column).alias(column) for column in totals),
        *(F.max(column).alias(column) for column in latest),
    )
    # What was made and taken back before one tick changes no total, yet may be the latest of its kind.
    moved = F.greatest(*(F.abs(column) for column in totals)) > 0
    known = F.coalesce(*latest, F.lit(None)).isNotNull()
    changed = per_tick.where(moved | known)
    if earlier is not None:
        changed = changed.unionByName(_newest(earlier, new, keys, [*totals, *latest]))
    until = Window.partitionBy(*keys).orderBy("tick").rowsBetween(Window.unboundedPreceding, 0)
    return changed.select(
        *keys,
        "tick",
        *(F.sum(column).over(until).alias(column) for column in totals),
        *(F.max(column).over(until).alias(column) for column in latest),
    ).where(F.col("tick") > build.since_ms)


def decayed_totals(
    changes: DataFrame,
    keys: Sequence[str],
    lifetimes: Mapping[str, float],
    every_ms: int,
    build: BuildTime,
    earlier: DataFrame | None = None,
) -> DataFrame:
    """``keys``, ``tick`` (ms) and per lifetime the sum of delta * exp(-(tick - born) / lifetime) until then.

    The twin of ``features.aggregates.add``. Weights are taken relative to the start of a block of the tick's
    time, which ``exp`` of a double can span; what happened before the block before this one weighs nothing.

    Args:
        changes: rows with ``keys``, ``ts`` and ``born`` in milliseconds and ``delta``.
        lifetimes: in seconds, by the name of the column that they make.
        earlier: rows with ``keys``, ``tick`` and those columns, of the days that are built already.
    """
    new = changes.where(F.col("ts") >= build.since_ms)
    ticked = new.withColumn("tick", next_tick(F.col("ts"), every_ms, build))
    per_tick = ticked.groupBy(*keys, "tick").agg(
        *(
            F.sum(F.col("delta") * F.exp(_since_block("born", lifetime))).alias(name)
            for name, lifetime in lifetimes.items()
        )
    )
    if earlier is not None:
        newest = _newest(earlier, new, keys, list(lifetimes))
        # What is left at a tick counts as if all of it had happened just then.
        whole = {
            name: F.col(name) * F.exp(_since_block("tick", lifetime)) for name, lifetime in lifetimes.items()
        }
        per_tick = per_tick.unionByName(newest.withColumns(whole))
    values = []
    for name, lifetime in lifetimes.items():
        block = _block(lifetime)
        inside = Window.partitionBy(*keys, block).orderBy("tick").rowsBetween(Window.unboundedPreceding, 0)
        before = Window.partitionBy(*keys).orderBy(block).rangeBetween(-1, -1)
        carried = F.coalesce(F.sum(name).over(before), F.lit(0.0)) * math.exp(-_BLOCK)
        value = (F.sum(name).over(inside) + carried) * F.exp(-_since_block("tick", lifetime))
        # What is left of rounding when all is taken back may be less than nothing.
        values.append(F.greatest(value, F.lit(0.0)).alias(name))
    return per_tick.select(*keys, "tick", *values).where(F.col("tick") > build.since_ms)


def feature_rows(
    rows: DataFrame,
    keys: Sequence[str],
    features: Sequence[str],
    build: BuildTime,
    carried: Sequence[str] = (),
) -> DataFrame:
    """The offline schema of a view: keys, float features, ``event_timestamp`` from ``tick``, ``created``, the
    ``day`` that the row covers and, in ``carried``, what a build of later days goes on from.
    """
    state = [F.struct(*carried).alias(CARRIED)] if carried else []
    return rows.select(
        *keys,
        *(F.col(feature).cast("float").alias(feature) for feature in features),
        F.timestamp_millis("tick").alias("event_timestamp"),
        F.lit(build.created).cast("timestamp").alias("created"),
        *state,
        day_of(F.col("tick") - 1).alias("day"),
    )


def carried_rows(rows: DataFrame, keys: Sequence[str]) -> DataFrame:
    """What ``feature_rows`` carried: ``keys``, ``tick`` (ms) and a column for each value."""
    return rows.select(*keys, F.unix_millis("event_timestamp").alias("tick"), f"{CARRIED}.*")


def day_of(moment_ms: Column) -> Column:
    """The UTC day of a moment, as a partition names it."""
    return F.date_format(F.timestamp_millis(moment_ms), "yyyy-MM-dd")


def _newest(earlier: DataFrame, new: DataFrame, keys: Sequence[str], columns: Sequence[str]) -> DataFrame:
    """``keys``, ``tick`` and ``columns`` of the newest earlier row of each entity that ``new`` speaks of."""
    known = earlier.join(new.select(*keys).distinct(), on=[*keys], how="left_semi")
    newest = known.groupBy(*keys).agg(F.max_by(F.struct("tick", *columns), "tick").alias("row"))
    return newest.select(*keys, "row.*")


def _block(lifetime_s: float) -> Column:
    return F.floor(F.col("tick") / (_BLOCK * 1000 * lifetime_s))


def _since_block(moment: str, lifetime_s: float) -> Column:
    """Lifetimes from the start of the tick's block to ``moment``."""
    return F.col(moment) / (1000 * lifetime_s) - _block(lifetime_s) * _BLOCK
