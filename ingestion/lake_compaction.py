"""One file of each day's many: the archive job leaves a file a checkpoint, and readers open every one.

Rows stay as they are, redeliveries included. The files that a whole stands for are removed by a later run,
when nobody reads them any more. A run that is interrupted leaves each partition as it was, or compacted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ingestion.events import Event
from ingestion.lake import PARTITION_COLUMN, event_folder, event_types, type_name
from ingestion.lake_events import arrow_schema
from ingestion.lake_partitions import (
    STANDS_FOR,
    WHOLE,
    LakeFileError,
    current,
    made_at,
    stands_for,
    visible_files,
    whole_name,
)

ROW_GROUP = 131_072
# What is read ahead of the row group that is written: 4 batches of 2 files.
BATCH_ROWS, BATCHES, FILES = 16_384, 4, 2


@dataclass(frozen=True)
class CompactedDay:
    """``merged`` files of one partition became one of ``rows`` rows; ``removed`` replaced ones are gone."""

    event: str
    day: date
    merged: int
    rows: int
    removed: int


def compact(
    lake: Path, namespace: str, before: date, keep: timedelta, now: datetime
) -> Iterator[CompactedDay]:
    """Compact the partitions of days before ``before`` (UTC), and yield those in which something was done.

    Args:
        keep: how long a file that was replaced stays, for those who read it.
        now: the moment, with its zone.

    Raises:
        LakeFileError: files could not be read, at the end; their partitions stay as they were.
    """
    failures = []
    for event_type in event_types():
        for folder in sorted(event_folder(lake, namespace, event_type).glob(f"{PARTITION_COLUMN}=*")):
            day = date.fromisoformat(folder.name.partition("=")[2])
            if day >= before:
                continue
            try:
                removed = _remove_replaced(folder, now - keep)
                merged, rows = _merge(folder, event_type, now)
            except (pa.ArrowInvalid, pa.ArrowTypeError, LakeFileError) as error:
                failures.append(f"A file in {folder} is no Parquet file of {type_name(event_type)}: {error}")
                continue
            if merged or removed:
                yield CompactedDay(type_name(event_type), day, merged, rows, removed)
    if failures:
        more = f" ({len(failures) - 1} more folders have such files)" if len(failures) > 1 else ""
        raise LakeFileError(f"{failures[0].rstrip('.')}{more}: move it away; its folder stays as it was.")


def _remove_replaced(folder: Path, until: datetime) -> int:
    """Remove what an interrupted run left, and what wholes made until then stand for; how many these were."""
    for partial in folder.glob(f".{WHOLE}*"):
        partial.unlink()
    files = visible_files(folder)
    replaced = [stands_for(path) for path in files if path.name.startswith(WHOLE) and made_at(path) <= until]
    gone = [path for path in files if any(path.name in names for names in replaced)]
    for path in gone:
        path.unlink()
    return len(gone)


def _merge(folder: Path, event_type: type[Event], now: datetime) -> tuple[int, int]:
    """Write the whole of a partition's current files, and give it its name; how many they were, its rows."""
    files = visible_files(folder)
    parts = current(files)
    if len(parts) < 2:
        return 0, 0
    # Those that were replaced before are named too: none counts again when what stood for it goes first.
    names = json.dumps([path.name for path in files])
    schema = _schema(parts, event_type).with_metadata({STANDS_FOR: names.encode()})
    partial = folder / f".{whole_name(now)}"
    rows_of: Any = ds.dataset([str(path) for path in parts], schema=schema, format="parquet")
    batches = rows_of.to_batches(batch_size=BATCH_ROWS, batch_readahead=BATCHES, fragment_readahead=FILES)
    with pq.ParquetWriter(partial, schema, compression="zstd") as whole:
        for group in _groups(batches):
            whole.write_table(pa.Table.from_batches(group, schema), row_group_size=ROW_GROUP)
    rows = int(pq.read_metadata(partial).num_rows)
    partial.replace(folder / whole_name(now))
    return len(parts), rows


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    """The batches of a row group each."""
    group: list[Any] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        if rows >= ROW_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _schema(parts: Sequence[Path], event_type: type[Event]) -> Any:
    """The columns of the event, then those that files of another build have beside them."""
    schema = arrow_schema(event_type)
    for path in parts:
        for field in pq.read_schema(path):
            if field.name not in schema.names:
                schema = schema.append(field)
    return schema
