"""Compares a sample of the online rows with the newest offline row of each entity.

A row that the stream writes is stamped with its newest event, the offline row that covers it with the tick
after: so values that decay are compared at the later of the two moments, and rows newer than anything offline
are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.connections import in_order, queue_reads
from features.layout import RowKeys
from features.names import VIEWS, View
from features.offline_rows import Ids, OfflineView
from features.rows import FloatMatrix, at_age, row_key, row_pattern, unpack_rows
from features.settings import HasFeatureStore
from features.store import OfflineRowsMissingError, offline_folder
from timelines.client import open_client
from timelines.keys import Keyspace

TICK_MS = 3_600_000
"""How much older than the offline row a row of the stream may be that covers the same events."""
_READ_AT_ONCE = 5000
_RELATIVE, _ABSOLUTE = 1e-4, 1e-6

Times = NDArray[np.int64]


@dataclass
class Counts:
    """Of the values of one feature: what became of each."""

    compared: int = 0
    equal: int = 0
    differing: int = 0
    stale: int = 0
    missing_online: int = 0
    missing_offline: int = 0

    @property
    def amiss(self) -> int:
        return self.differing + self.stale + self.missing_online + self.missing_offline


@dataclass(frozen=True)
class Example:
    """One value that is not the same; a moment in ms UTC is -1 where there is no row."""

    view: str
    feature: str
    finding: str
    entity: dict[str, int]
    online: float
    offline: float
    online_ms: int
    offline_ms: int

    def __str__(self) -> str:
        keys = " ".join(f"{name}={value}" for name, value in self.entity.items())
        sides = (("online", self.online, self.online_ms), ("offline", self.offline, self.offline_ms))
        told = ", ".join(f"{side} {_told(value, moment)}" for side, value, moment in sides)
        return f"{self.view} {keys} {self.feature}: {self.finding}: {told}"


@dataclass
class ViewFindings:
    """``ahead``: rows newer than anything offline; ``other_schema``: rows that no reader takes."""

    rows: int = 0
    ahead: int = 0
    other_schema: int = 0
    features: dict[str, Counts] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    @property
    def amiss(self) -> int:
        return sum(counts.amiss for counts in self.features.values())


@dataclass(frozen=True)
class Sides:
    """The sampled rows: ``ids`` [n, entities], values [n, columns] and event times in ms [n], -1 for none."""

    ids: Ids
    online: FloatMatrix
    offline: FloatMatrix
    online_ms: Times
    offline_ms: Times


def examine(
    settings: HasFeatureStore, now_ms: int, sample: int, seed: int = 0, examples: int = 3
) -> dict[str, ViewFindings]:
    """The findings of each view with an offline twin.

    Args:
        now_ms: the moment against which rows age; who is past the ttl is no row, on either side.
        sample: how many entities of a view, from the offline rows and as many of the online ones.
        examples: how many of each view's differences are kept.

    Raises:
        OfflineRowsMissingError: nothing was built yet.
        redis.RedisError: the online store does not answer.
    """
    keys = Keyspace.of(settings)
    client = open_client(settings.redis, timeout_s=30, connect_timeout_s=2, retries=0)
    try:
        return {
            view.name: _examine_view(client, keys, _offline(settings, view), now_ms, (sample, seed), examples)
            for view in VIEWS
        }
    finally:
        client.close()


def compare(view: View, sides: Sides, offline_end_ms: int, examples: int) -> ViewFindings:
    """What becomes of each value; ``offline_end_ms`` is the newest event time of any offline row."""
    online_there, offline_there = sides.online_ms >= 0, sides.offline_ms >= 0
    ahead = online_there & (sides.online_ms > sides.offline_ms) & (sides.online_ms >= offline_end_ms)
    moments = np.maximum(sides.online_ms, sides.offline_ms)
    online = at_age(view, sides.online.copy(), (moments - sides.online_ms).astype(np.float64))
    offline = at_age(view, sides.offline.copy(), (moments - sides.offline_ms).astype(np.float64))
    tick_ms = TICK_MS if view.engine == "flink" else 0
    older = online_there & (sides.online_ms < sides.offline_ms - tick_ms)
    uncovered = offline_there & (sides.online_ms > sides.offline_ms)

    no_online, no_offline = np.isnan(online), np.isnan(offline)
    either = ~(no_online & no_offline) & ~ahead[:, None]
    if view.engine == "flink":
        # Who did nothing that stands may have no row of the stream.
        either &= ~(no_online & (np.abs(offline) <= _ABSOLUTE))
    both = either & ~no_online & ~no_offline
    equal = both & np.isclose(online, offline, rtol=_RELATIVE, atol=_ABSOLUTE)
    unequal = either & ~equal
    missing_offline = unequal & ((no_offline & ~older[:, None]) | uncovered[:, None])
    stale = unequal & ~missing_offline & older[:, None]
    missing_online = unequal & ~missing_offline & ~stale & no_online
    differing = unequal & ~missing_offline & ~stale & ~missing_online
    masks = (both, equal, differing, stale, missing_online, missing_offline)
    found = ViewFindings(rows=int((online_there | offline_there).sum()), ahead=int(ahead.sum()))
    for column, name in enumerate(view.columns):
        found.features[name] = Counts(*(int(mask[:, column].sum()) for mask in masks))
    names = [each.name for each in fields(Counts)]
    for mask, finding in zip(masks[2:], names[2:], strict=True):
        for line, column in np.argwhere(mask)[: examples - len(found.examples)].tolist():
            found.examples.append(
                Example(
                    view.name,
                    view.columns[column],
                    finding.replace("_", " "),
                    dict(zip(view.entities, sides.ids[line].tolist(), strict=True)),
                    float(online[line, column]),
                    float(offline[line, column]),
                    int(sides.online_ms[line]),
                    int(sides.offline_ms[line]),
                )
            )
    return found


def _examine_view(
    client: Any, keys: RowKeys, offline: OfflineView, now_ms: int, sampled: tuple[int, int], examples: int
) -> ViewFindings:
    view = offline.view
    ids = np.concatenate([offline.sample(*sampled), _online_sample(client, keys, view, sampled[0])])
    ids = np.unique(ids, axis=0)
    blobs = _read(client, keys, view, ids)
    online, online_ms = unpack_rows(view, blobs)
    other_schema = sum(blob is not None for blob in blobs) - int((online_ms >= 0).sum())
    rows, offline_ms = offline.newest(ids)
    oldest_ms = now_ms - view.ttl_seconds * 1000
    for values, times in ((online, online_ms), (rows, offline_ms)):
        values[times < oldest_ms], times[times < oldest_ms] = np.nan, -1
    found = compare(view, Sides(ids, online, rows, online_ms, offline_ms), offline.end_ms(), examples)
    found.other_schema = other_schema
    return found


def _offline(settings: HasFeatureStore, view: View) -> OfflineView:
    folder = offline_folder(settings) / view.name
    if not any(folder.rglob("*.parquet")):
        raise OfflineRowsMissingError(
            f"There are no offline rows of {view.name}: run `tideline features build` first."
        )
    return OfflineView(folder, view)


def _online_sample(client: Any, keys: RowKeys, view: View, count: int) -> Ids:
    """The entities of the first ``count`` rows that a scan finds."""
    found = islice(client.scan_iter(match=row_pattern(keys, view.name), count=1000), count)
    width = len(view.entities)
    return np.array([key.decode().split(":")[-width:] for key in found], dtype=np.int64).reshape(-1, width)


def _read(client: Any, keys: RowKeys, view: View, ids: Ids) -> Sequence[bytes | None]:
    blobs: list[bytes | None] = []
    for start in range(0, len(ids), _READ_AT_ONCE):
        part = ids[start : start + _READ_AT_ONCE].tolist()
        pipe = client.pipeline(transaction=False)
        groups = queue_reads(
            pipe, [row_key(keys, view, each) for each in part], [each[0] % keys.partitions for each in part]
        )
        blobs += in_order(groups, pipe.execute())
    return blobs


def _told(value: float, moment_ms: int) -> str:
    if moment_ms < 0:
        return "has no row"
    when = datetime.fromtimestamp(moment_ms / 1000, tz=UTC).isoformat(timespec="seconds")
    return f"{'null' if np.isnan(value) else f'{value:g}'} of {when}"
