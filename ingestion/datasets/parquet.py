"""Reads Parquet files whose columns are checked first: names, types, and values where there must be one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.datasets.dataset import DatasetError

BATCH_ROWS = 8192


def open_file(path: Path, schema: pa.Schema) -> pq.ParquetFile:
    """The file, once it is known to have the columns of ``schema``, each of its family of types.

    Raises:
        DatasetError: the file is missing, is not Parquet, lacks columns (all of them are named), or has
            a column of something else.
    """
    if not path.is_file():
        raise DatasetError(f"The dataset file {path} does not exist.")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"The dataset file {path} is not a readable Parquet file.") from error
    found = file.schema_arrow
    missing = [name for name in schema.names if name not in found.names]
    if missing:
        raise DatasetError(f"The dataset file {path} lacks the columns {', '.join(missing)}.")
    for wanted in schema:
        family, other = _family(wanted.type), found.field(wanted.name).type
        empty = wanted.nullable and pa.types.is_null(other)
        if _family(other) != family and not empty:
            raise DatasetError(f"The column {wanted.name} of {path} holds {other}, where {family} belong.")
    return file


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """All rows of the columns of ``schema``; for files that fit into memory.

    Raises:
        DatasetError: as :func:`open_file`; a null where ``schema`` allows none; no rows.
    """
    table = open_file(path, schema).read(columns=schema.names)
    if not table.num_rows:
        raise DatasetError(f"The dataset file {path} holds no rows.")
    _check_nulls(path, schema, table)
    return table


def read_columns(path: Path, schema: pa.Schema) -> dict[str, Any]:
    """Whole integer columns as int64 arrays, the others as lists.

    Raises:
        DatasetError: as :func:`read_table`.
    """
    table = read_table(path, schema)
    return {
        field.name: table.column(field.name).to_numpy()
        if pa.types.is_integer(field.type)
        else table.column(field.name).to_pylist()
        for field in schema
    }


def rows(path: Path, schema: pa.Schema) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples in the order of ``schema``, a batch at a time.

    Raises:
        DatasetError: as :func:`open_file`; a null where ``schema`` allows none.
    """
    file = open_file(path, schema)
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=schema.names):
        _check_nulls(path, schema, batch)
        yield from zip(*(batch.column(name).to_pylist() for name in schema.names), strict=True)


def row_count(path: Path) -> int:
    """The number of rows, from the file's footer."""
    return int(open_file(path, pa.schema([])).metadata.num_rows)


def _check_nulls(path: Path, schema: pa.Schema, rows: pa.Table | pa.RecordBatch) -> None:
    for field in schema:
        nulls = 0 if field.nullable else rows.column(field.name).null_count
        if nulls:
            raise DatasetError(f"The column {field.name} of {path} holds {nulls} nulls.")


def _family(kind: pa.DataType) -> str:
    """What a column holds, whatever its width, unit or encoding."""
    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"lists of {_family(kind.value_type)}"
    for is_of, family in (
        (pa.types.is_integer, "whole numbers"),
        (pa.types.is_floating, "numbers"),
        (pa.types.is_string, "texts"),
        (pa.types.is_large_string, "texts"),
        (pa.types.is_boolean, "yes or no"),
        (pa.types.is_timestamp, "moments"),
    ):
        if is_of(kind):
            return family
    return str(kind)
