"""Reads events back from the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ingestion.events import Event
from ingestion.lake import PARTITION_COLUMN, Column, ScalarKind, columns, event_folder
from ingestion.lake_partitions import current_files

BATCH_ROWS = 8192

_TYPES: dict[ScalarKind, Any] = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


def read_events(
    lake: Path, namespace: str, event_type: type[Event], from_ms: int | None, until_ms: int
) -> Iterator[Event]:
    """The events of one type with ``from_ms`` <= ts < ``until_ms`` (UTC), each once, day after day."""
    for day in _days(event_folder(lake, namespace, event_type), from_ms, until_ms):
        yield from _read_day(day, event_type, from_ms, until_ms)


def read_columns(
    lake: Path,
    namespace: str,
    event_type: type[Event],
    names: Sequence[str],
    from_ms: int | None,
    until_ms: int,
    having: str | None = None,
) -> Any:
    """Some columns of the same events as one Arrow table; a redelivered event may be there twice.

    Only of those that have a value in the column ``having``, if it is named.
    """
    schema = arrow_schema(event_type)
    wanted = _between(from_ms, until_ms)
    if having is not None:
        wanted &= pc.field(having).is_valid()
    tables = [
        _rows(day, schema).to_table(columns=list(names), filter=wanted)
        for day in _days(event_folder(lake, namespace, event_type), from_ms, until_ms)
    ]
    empty = schema.empty_table().select(list(names))
    return pa.concat_tables([empty, *tables])


def arrow_schema(event_type: type[Event]) -> Any:
    """The Arrow schema of an event type's files; one that is older than a column has nulls there."""
    return pa.schema([(column.name, _arrow_type(column)) for column in columns(event_type)])


def _arrow_type(column: Column) -> Any:
    scalar = _TYPES[column.kind]
    return pa.list_(scalar) if column.array else scalar


def _read_day(day: Path, event_type: type[Event], from_ms: int | None, until_ms: int) -> Iterator[Event]:
    # An event that was written twice has one moment, so both of its rows lie in one day.
    seen: set[str] = set()
    # What an event left out is null in its row; a required field may be null itself.
    required = {field.name for field in msgspec.structs.fields(event_type) if field.required}
    names = [column.name for column in columns(event_type)]
    rows = _rows(day, arrow_schema(event_type))
    batches: Any = rows.to_batches(columns=names, filter=_between(from_ms, until_ms), batch_size=BATCH_ROWS)
    for batch in batches:
        for row in batch.to_pylist():
            if row["event_id"] not in seen:
                seen.add(row["event_id"])
                kept = {name: value for name, value in row.items() if value is not None or name in required}
                yield msgspec.convert(kept, event_type)


def _rows(day: Path, schema: Any) -> Any:
    return ds.dataset([str(path) for path in current_files(day)], schema=schema, format="parquet")


def _days(folder: Path, from_ms: int | None, until_ms: int) -> Iterator[Path]:
    """The folders of the days that have a part in the span, in order."""
    for day in sorted(folder.glob(f"{PARTITION_COLUMN}=*")):
        start_ms = _midnight_ms(day)
        if start_ms < until_ms and (from_ms is None or from_ms < start_ms + 24 * 3600 * 1000):
            yield day


def _between(from_ms: int | None, until_ms: int) -> Any:
    wanted = pc.field("ts") < until_ms
    return wanted if from_ms is None else wanted & (pc.field("ts") >= from_ms)


def _midnight_ms(day: Path) -> int:
    return int(datetime.fromisoformat(day.name.partition("=")[2]).replace(tzinfo=UTC).timestamp() * 1000)
