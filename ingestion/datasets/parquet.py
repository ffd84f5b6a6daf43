"""Reads Parquet files whose columns are checked first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.datasets.dataset import DatasetError

BATCH_ROWS = 8192


def open_file(path: Path, columns: Sequence[str]) -> pq.ParquetFile:
    """The file, once it is known to have the columns.

    Raises:
        DatasetError: the file is missing, is not Parquet, or lacks columns (all of them are named).
    """
    if not path.is_file():
        raise DatasetError(f"The dataset file {path} does not exist.")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"The dataset file {path} is not a readable Parquet file.") from error
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise DatasetError(f"The dataset file {path} lacks the columns {', '.join(missing)}.")
    return file


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, Any]:
    """Whole integer columns as int64 arrays, strings as lists; for files that fit into memory.

    Raises:
        DatasetError: as :func:`open_file`, or an integer column holds a null or something else.
    """
    table = open_file(path, columns).read(columns=list(columns))
    values: dict[str, Any] = {}
    for name in columns:
        column = table.column(name)
        if pa.types.is_integer(column.type):
            if column.null_count:
                raise DatasetError(f"The column {name} of {path} holds {column.null_count} nulls.")
            values[name] = column.to_numpy()
        else:
            values[name] = column.to_pylist()
    return values


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples in the order of ``columns``, a batch at a time.

    Raises:
        DatasetError: as :func:`open_file`.
    """
    file = open_file(path, columns)
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def row_count(path: Path) -> int:
    """The number of rows, from the file's footer."""
    return int(open_file(path, ()).metadata.num_rows)
