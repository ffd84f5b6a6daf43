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

HOUR_MS = 3600 * 1000
CHANGE_MS = 1
"""Ticks so close that each change has a row of its own: the twins of what the stream writes at once."""
# Lifetimes in one block of time of ``decayed_totals``: exp(256) and its sums are doubles.
_BLOCK = 256


@dataclass(frozen=True)
class BuildTime:
    """``until_ms``: what happens from then on is not covered; ``created``: the wall clock of the build.

    ``earlier_ms`` are ends of builds before: rows stand at them, too, as online rows were made of those.
    """

    until_ms: int
    created: datetime
    earlier_ms: tuple[int, ...] = ()


def next_tick(ts: Column, every_ms: int, build: BuildTime) -> Column:
    """The first tick strictly after ``ts`` (milliseconds), as milliseconds.

    The tick that the build's end cuts short is at that end, so that no row claims a later moment.
    """
    # `least` passes over nulls.
    cuts = [F.when(ts < end, F.lit(end)) for end in build.earlier_ms]
    return F.least((F.floor(ts / every_ms) + 1) * every_ms, F.lit(build.until_ms), *cuts)


def running_totals(
    changes: DataFrame,
    keys: Sequence[str],
    totals: Sequence[str],
    every_ms: int,
    build: BuildTime,
    latest: Sequence[str] = (),
) -> DataFrame:
    """``keys``, ``tick`` (ms), ``totals`` summed and ``latest`` at their greatest until then.

    Args:
        changes: rows with ``keys``, ``ts`` in milliseconds, and the columns of ``totals`` and ``latest``.
    """
    ticked = changes.withColumn("tick", next_tick(F.col("ts"), every_ms, build)).groupBy(*keys, "tick")
    per_tick = ticked.agg(
        *(F.sum(column).alias(column) for column in totals),
        *(F.max(column).alias(column) for column in latest),
    )
    # What was made and taken back before one tick changes no total, yet may be the latest of its kind.
    moved = F.greatest(*(F.abs(column) for column in totals)) > 0
    known = F.coalesce(*latest, F.lit(None)).isNotNull()
    changed = per_tick.where(moved | known)
    until = Window.partitionBy(*keys).orderBy("tick").rowsBetween(Window.unboundedPreceding, 0)
    return changed.select(
        *keys,
        "tick",
        *(F.sum(column).over(until).alias(column) for column in totals),
        *(F.max(column).over(until).alias(column) for column in latest),
    )


def decayed_totals(
    changes: DataFrame, keys: Sequence[str], lifetimes: Mapping[str, float], every_ms: int, build: BuildTime
) -> DataFrame:
    """``keys``, ``tick`` (ms) and per lifetime the sum of delta * exp(-(tick - born) / lifetime) until then.

    The twin of ``features.aggregates.add``. Weights are taken relative to the start of a block of the tick's
    time, which ``exp`` of a double can span; what happened before the block before this one weighs nothing.

    Args:
        changes: rows with ``keys``, ``ts`` and ``born`` in milliseconds and ``delta``.
        lifetimes: in seconds, by the name of the column that they make.
    """
    ticked = changes.withColumn("tick", next_tick(F.col("ts"), every_ms, build))
    per_tick = ticked.groupBy(*keys, "tick").agg(
        *(
            F.sum(F.col("delta") * F.exp(_since_block("born", lifetime))).alias(name)
            for name, lifetime in lifetimes.items()
        )
    )
    values = []
    for name, lifetime in lifetimes.items():
        block = _block(lifetime)
        inside = Window.partitionBy(*keys, block).orderBy("tick").rowsBetween(Window.unboundedPreceding, 0)
        before = Window.partitionBy(*keys).orderBy(block).rangeBetween(-1, -1)
        carried = F.coalesce(F.sum(name).over(before), F.lit(0.0)) * math.exp(-_BLOCK)
        value = (F.sum(name).over(inside) + carried) * F.exp(-_since_block("tick", lifetime))
        # What is left of rounding when all is taken back may be less than nothing.
        values.append(F.greatest(value, F.lit(0.0)).alias(name))
    return per_tick.select(*keys, "tick", *values)


def feature_rows(
    rows: DataFrame, keys: Sequence[str], features: Sequence[str], build: BuildTime
) -> DataFrame:
    """The offline schema of a view: keys, float features, ``event_timestamp`` from ``tick``, ``created``."""
    return rows.select(
        *keys,
        *(F.col(feature).cast("float").alias(feature) for feature in features),
        F.timestamp_millis("tick").alias("event_timestamp"),
        F.lit(build.created).cast("timestamp").alias("created"),
    )


def _block(lifetime_s: float) -> Column:
    return F.floor(F.col("tick") / (_BLOCK * 1000 * lifetime_s))


def _since_block(moment: str, lifetime_s: float) -> Column:
    """Lifetimes from the start of the tick's block to ``moment``."""
    return F.col(moment) / (1000 * lifetime_s) - _block(lifetime_s) * _BLOCK
