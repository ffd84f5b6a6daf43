"""The offline rows of a view, read from their Parquet folder without Spark: a sample of its entities.

Only the days that may hold what is asked for are opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from features.day_partitions import day_name, day_start_ms, days_in
from features.names import View
from features.rows import FloatMatrix
from timelines.durations import DAY_MS

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class RecentRows:
    """The newest row of each of some entities: ``ids`` int64 [n, entities], float32 ``values`` [n, columns]
    and event times in ms UTC, int64 [n].
    """

    ids: Ids
    values: FloatMatrix
    times_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class OfflineView:
    """Parquet files below ``folder`` with the view's keys, ``event_timestamp``, ``created`` and columns.

    They lie by the day; without days all files are one.
    """

    folder: Path
    view: View

    def sample(self, count: int, seed: int) -> Ids:
        """At most ``count`` of the entities, int64 [n, entities]: the ones whose hashes are the smallest."""
        return self._smallest(self._no_ids(), self._files(), None, count, seed)

    def recent(self, count: int, seed: int, until: datetime) -> RecentRows:
        """At most ``count`` of the entities with a row of the newest days up to ``until``, as of then.

        The newest days: a whole one at least, and then as many as it takes to find ``count``, within the ttl.
        """
        until_ms = round(until.timestamp() * 1000)
        oldest_ms = until_ms - self.view.ttl_seconds * 1000
        within = (pc.field("event_timestamp") <= until) & (pc.field("event_timestamp") >= _moment(oldest_ms))
        ids, read, reached_ms = self._no_ids(), list[Path](), until_ms
        for since_ms, files in self._newest_first(until_ms):
            enough = len(ids) >= count and reached_ms <= until_ms - DAY_MS
            if enough or since_ms + DAY_MS < oldest_ms:
                break
            ids = self._smallest(ids, files, within, count, seed)
            read, reached_ms = [*read, *files], since_ms
        values, times_ms = self._newest(ids, read, within)
        return RecentRows(ids, values, times_ms)

    def newest(self, ids: Ids) -> tuple[FloatMatrix, NDArray[np.int64]]:
        """Of each of ``ids`` [n, entities] the newest row: values [n, columns] and event time in ms [n].

        NaN and -1 where there is none.
        """
        return self._newest(ids, self._files(), None)

    def end_ms(self, until: datetime | None = None) -> int:
        """The newest event time of any row, or of any up to ``until``; -1 without rows."""
        until_ms = None if until is None else round(until.timestamp() * 1000)
        wanted = None if until is None else pc.field("event_timestamp") <= until
        for _, files in self._newest_first(until_ms):
            batches = _dataset(files).to_batches(columns=["event_timestamp"], filter=wanted)
            newest: list[datetime | None] = [
                pc.max(batch.column("event_timestamp")).as_py() for batch in batches
            ]
            if known := [round(moment.timestamp() * 1000) for moment in newest if moment]:
                return max(known)
        return -1

    def _newest(
        self, ids: Ids, files: list[Path], wanted: pc.Expression | None
    ) -> tuple[FloatMatrix, NDArray[np.int64]]:
        keys, columns = list(self.view.entities), list(self.view.columns)
        if not len(ids):
            return np.empty((0, len(columns)), dtype=np.float32), np.empty(0, dtype=np.int64)
        of_these = pc.field(keys[0]).isin(pa.array(np.unique(ids[:, 0])))
        read = [*keys, "event_timestamp", "created", *columns]
        table = _dataset(files).to_table(
            columns=read, filter=of_these if wanted is None else of_these & wanted
        )
        rows = (
            table.to_pandas()
            .sort_values(["event_timestamp", "created"], kind="stable")
            .drop_duplicates(keys, keep="last")
        )
        asked = pd.DataFrame(ids, columns=keys).merge(rows, on=keys, how="left")
        times = asked["event_timestamp"].dt.tz_convert(None).to_numpy().astype("datetime64[ms]")
        times_ms = np.where(np.isnat(times), -1, times.astype(np.int64))
        return asked[columns].to_numpy(dtype=np.float32), times_ms

    def _smallest(
        self, kept: Ids, files: list[Path], wanted: pc.Expression | None, count: int, seed: int
    ) -> Ids:
        """``kept`` and the entities in ``files``, the ``count`` whose hashes are the smallest."""
        entities = list(self.view.entities)
        for batch in _dataset(files).to_batches(columns=entities, filter=wanted):
            ids = np.column_stack([batch.column(name).to_numpy() for name in entities])
            kept = np.unique(np.concatenate([kept, ids.astype(np.int64)]), axis=0)
            kept = kept[np.argsort(_hashes(kept, seed), kind="stable")[:count]]
        return kept

    def _newest_first(self, until_ms: int | None) -> Iterator[tuple[int, list[Path]]]:
        """The days that may hold rows up to a moment, newest first: their starts (ms) and files.

        A row of midnight sharp covers the day before, and lies with it.
        """
        days = days_in(self.folder)
        if not days:
            yield until_ms or 0, self._files()
        for day, path in reversed(days.items()):
            if until_ms is None or day <= day_name(until_ms):
                yield day_start_ms(day), sorted(path.glob("*.parquet"))

    def _files(self) -> list[Path]:
        # Spark leaves files of its own beside the rows.
        return sorted(self.folder.rglob("*.parquet"))

    def _no_ids(self) -> Ids:
        return np.empty((0, len(self.view.entities)), dtype=np.int64)


def _dataset(files: list[Path]) -> ds.Dataset:
    return ds.dataset([str(file) for file in files], format="parquet")


def _moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def _hashes(ids: Ids, seed: int) -> NDArray[np.uint64]:
    """A number for each tuple of ids, by SplitMix64."""
    mixed = np.full(len(ids), seed, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in ids.T:
            mixed = mixed + column.astype(np.uint64) + _MIX[0]
            for shift, factor in ((30, _MIX[1]), (27, _MIX[2])):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
            mixed ^= mixed >> np.uint64(31)
    return mixed
