"""The offline rows of a view, read from their Parquet folder without Spark: a sample of its entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from features.names import View
from features.rows import FloatMatrix

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class OfflineView:
    """Parquet files below ``folder`` with the view's keys, ``event_timestamp``, ``created`` and columns."""

    folder: Path
    view: View

    def sample(self, count: int, seed: int) -> Ids:
        """At most ``count`` of the entities, int64 [n, entities]: the ones whose hashes are the smallest."""
        kept = np.empty((0, len(self.view.entities)), dtype=np.int64)
        for batch in self._batches(list(self.view.entities)):
            ids = np.column_stack([batch.column(name).to_numpy() for name in self.view.entities])
            kept = np.unique(np.concatenate([kept, ids.astype(np.int64)]), axis=0)
            kept = kept[np.argsort(_hashes(kept, seed), kind="stable")[:count]]
        return kept

    def newest(self, ids: Ids, until: datetime | None = None) -> tuple[FloatMatrix, NDArray[np.int64]]:
        """Of each of ``ids`` [n, entities] the newest row: values [n, columns] and event time in ms [n].

        NaN and -1 where there is none, or none at or before ``until``.
        """
        keys, columns = list(self.view.entities), list(self.view.columns)
        wanted = pc.field(keys[0]).isin(pa.array(np.unique(ids[:, 0])))
        if until is not None:
            wanted &= pc.field("event_timestamp") <= until
        read = [*keys, "event_timestamp", "created", *columns]
        rows = self._dataset().to_table(columns=read, filter=wanted).to_pandas()
        rows = rows.sort_values(["event_timestamp", "created"], kind="stable").drop_duplicates(
            keys, keep="last"
        )
        asked = pd.DataFrame(ids, columns=keys).merge(rows, on=keys, how="left")
        times = asked["event_timestamp"].dt.tz_convert(None).to_numpy().astype("datetime64[ms]")
        times_ms = np.where(np.isnat(times), -1, times.astype(np.int64))
        return asked[columns].to_numpy(dtype=np.float32), times_ms

    def end_ms(self) -> int:
        """The newest event time of any row; -1 without rows."""
        newest = [
            pc.max(batch.column("event_timestamp")).as_py() for batch in self._batches(["event_timestamp"])
        ]
        return max((round(moment.timestamp() * 1000) for moment in newest if moment), default=-1)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        yield from self._dataset().to_batches(columns=columns)

    def _dataset(self) -> ds.Dataset:
        # Spark leaves files of its own beside the rows.
        return ds.dataset(sorted(map(str, self.folder.rglob("*.parquet"))), format="parquet")


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
