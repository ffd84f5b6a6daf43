"""Two folders of one file format, the later one to be judged: their tables below each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from features.running import Ints
from ingestion.datasets.dataset import DatasetError
from ingestion.datasets.parquet import open_file, read_table


@dataclass(frozen=True)
class Folders:
    """``train`` and ``test`` hold the files of ``dataset``, themselves or in a folder of its name.

    Raises:
        DatasetError: one of them is no folder, or an empty one.
    """

    dataset: str
    train: Path
    test: Path

    def __post_init__(self) -> None:
        for folder in (self.train, self.test):
            if not folder.is_dir():
                raise DatasetError(f"There is no folder {folder}.")
            if not any(folder.iterdir()):
                raise DatasetError(f"The folder {folder} is empty.")

    def read(self, stem: str, schema: pa.Schema) -> pd.DataFrame:
        """The rows of both files; ``later`` says which are from the test folder.

        Raises:
            DatasetError: as :func:`ingestion.datasets.parquet.read_table`.
        """
        parts = [
            _table(self._file(folder, stem), schema).to_pandas().assign(later=later)
            for folder, later in ((self.train, False), (self.test, True))
        ]
        both: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return both

    def both_have(self, stem: str) -> bool:
        """Whether there is such a file in either folder."""
        return all(self._file(folder, stem).is_file() for folder in (self.train, self.test))

    def _file(self, folder: Path, stem: str) -> Path:
        inner = folder / self.dataset
        return (inner if inner.is_dir() else folder) / f"{stem}.parquet"


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    """As :func:`read_table`; whole numbers with gaps may be stored as doubles, as pandas writes them."""
    if path.is_file():
        stored = open_file(path, pa.schema([])).schema_arrow
        for place, field in enumerate(schema):
            gaps = field.nullable and pa.types.is_integer(field.type) and field.name in stored.names
            if gaps and pa.types.is_floating(stored.field(field.name).type):
                schema = schema.set(place, pa.field(field.name, pa.float64()))
    return read_table(path, schema)


def milliseconds(moments: pd.Series) -> Ints:
    """ms UTC, int64 [n], of timestamps."""
    return moments.to_numpy().astype("datetime64[ms]").astype(np.int64)


def check_later(frame: pd.DataFrame) -> None:
    """No row is older than the ``time`` (ms UTC) of one to train on, if it is one of the ``later``.

    Raises:
        DatasetError: one is.
    """
    ends, begins = frame.loc[~frame["later"], "time"].max(), frame.loc[frame["later"], "time"].min()
    if begins < ends:
        raise DatasetError(
            f"The test folder begins at {_shown(begins)}, before the train folder ends at {_shown(ends)}: "
            "only later rows can judge a model."
        )


def check_labels(frame: pd.DataFrame, column: str, most: int | None = 1) -> None:
    """Labels are whole numbers from 0 to ``most``.

    Raises:
        DatasetError: one is not.
    """
    if frame[column].min() < 0 or (most is not None and frame[column].max() > most):
        raise DatasetError(
            f"The column {column} must be {'0 or 1' if most == 1 else '0 or more'} in every row."
        )


def codes(*columns: pd.Series) -> Ints:
    """Rows with the same values get the same code, from 0 in order of appearance; -1 where one is missing."""
    if len(columns) == 1:
        return np.asarray(pd.factorize(columns[0])[0], dtype=np.int64)
    grouped = pd.concat(columns, axis=1, keys=range(len(columns))).groupby(
        list(range(len(columns))), sort=False
    )
    return np.asarray(grouped.ngroup(), dtype=np.int64)


def _shown(ms: int) -> str:
    return f"{pd.Timestamp(ms, unit='ms'):%Y-%m-%d %H:%M:%S}"
