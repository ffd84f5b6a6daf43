"""Feature rows in Redis: one packed row per entity and view, written versioned, read as a matrix.

Layout of a row: 1 byte version, 4 bytes of the schema's fingerprint, 8 bytes event time (milliseconds UTC,
big-endian), one little-endian float32 per column in order. NaN is a missing value. A column with a lifetime
is read as what is left of it at the reader's moment. A row of another version or schema reads as absent; a
row older than the view's ttl is stale: its values read as missing but its age is told, so that stale and
never-written can be counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.connections import by_partition, in_order, queue_reads
from features.layout import NamedView, RowKeys, RowLayout, fingerprint

ROW_VERSION = 2
HEADER_BYTES = 13
KEYS_PER_CALL = 500

FloatMatrix = NDArray[np.float32]
_Coded = tuple[NDArray[np.int64], NDArray[np.intp]]


@dataclass(frozen=True)
class WideRead:
    """Rows of several views side by side, one line per candidate.

    Attributes:
        matrix: float32 [n, total columns], views in the order asked for; NaN is missing.
        present: bool [n, views]; False where there is no row or it is stale.
        age_seconds: float64 [n, views]; age of the row, NaN where there is none.
    """

    matrix: FloatMatrix
    present: NDArray[np.bool_]
    age_seconds: NDArray[np.float64]


def row_dtype(view: RowLayout) -> np.dtype[np.void]:
    """The packed row as a numpy record."""
    values = ("values", "<f4", (len(view.columns),))
    return np.dtype([("version", "u1"), ("schema", "<u4"), ("ts", ">i8"), values])


def row_key(keys: RowKeys, view: NamedView, ids: Sequence[int]) -> str:
    """The key of one row; ``ids`` are in the order of ``view.entities`` and the first one places it."""
    return f"{_head(keys, view.name)}{{{ids[0] % keys.partitions}}}:{':'.join(map(str, ids))}"


def row_pattern(keys: RowKeys, view_name: str) -> str:
    """What SCAN matches to find every row of a view in this namespace."""
    return _head(keys, view_name) + "*"


def encode_row(view: RowLayout, ts_ms: int, values: Sequence[float]) -> bytes:
    """One row.

    Raises:
        ValueError: the number of values is not the view's number of columns.
    """
    if len(values) != len(view.columns):
        raise ValueError(f"{view.name} has {len(view.columns)} columns, not {len(values)}.")
    return encode_rows(view, np.array([ts_ms], dtype=np.int64), np.array([values], dtype=np.float32))[0]


def encode_rows(view: RowLayout, ts_ms: NDArray[np.int64], values: FloatMatrix) -> list[bytes]:
    """Many rows: ``ts_ms`` [n], ``values`` [n, columns]."""
    rows = np.zeros(len(ts_ms), dtype=row_dtype(view))
    rows["version"], rows["schema"] = ROW_VERSION, fingerprint(view)
    rows["ts"], rows["values"] = ts_ms, values
    packed, width = rows.tobytes(), rows.itemsize
    return [packed[start : start + width] for start in range(0, len(packed), width)]


def unpack_rows(view: RowLayout, blobs: Sequence[bytes | None]) -> tuple[FloatMatrix, NDArray[np.int64]]:
    """Values [n, columns] as stored and event times in ms [n]; NaN and -1 where there is no row."""
    dtype = row_dtype(view)
    width, blank = dtype.itemsize, bytes(dtype.itemsize)
    filled = [blob or blank for blob in blobs]
    if not {*map(len, filled)} <= {width}:
        filled = [blob if len(blob) == width else blank for blob in filled]
    rows = np.frombuffer(b"".join(filled), dtype=dtype)
    absent = (rows["version"] != ROW_VERSION) | (rows["schema"] != fingerprint(view))
    matrix, ts_ms = rows["values"].astype(np.float32), rows["ts"].astype(np.int64)
    matrix[absent], ts_ms[absent] = np.nan, -1
    return matrix, ts_ms


def at_age(view: RowLayout, values: FloatMatrix, age_ms: NDArray[np.float64]) -> FloatMatrix:
    """``values`` [n, columns] of rows that are ``age_ms`` [n] old: decaying columns as they are by now."""
    columns, lifetimes_ms = _decaying(view)
    if len(columns):
        left = np.exp(-np.maximum(age_ms, 0.0)[:, None] / lifetimes_ms)
        values[:, columns] = values[:, columns] * left
    return values


def decode_rows(
    view: RowLayout, blobs: Sequence[bytes | None], now_ms: int
) -> tuple[FloatMatrix, NDArray[np.float64]]:
    """Values [n, columns] (NaN where missing or stale) and ages in seconds [n] (NaN where absent)."""
    matrix, ts_ms = unpack_rows(view, blobs)
    age = np.where(ts_ms < 0, np.nan, (now_ms - ts_ms) / 1000.0)
    matrix[~(age <= _oldest(view))] = np.nan
    return at_age(view, matrix, np.asarray(age * 1000, dtype=np.float64)), age


def load_functions(client: Any) -> None:
    """Put the server-side functions in place; a redis-py sync client, repeating changes nothing."""
    code = resources.files("features").joinpath("functions.lua").read_text(encoding="utf-8")
    client.function_load(code, replace=True)


def put_rows(
    pipe: Any,
    keys: RowKeys,
    view: RowLayout,
    ids: Iterable[Sequence[int]] | NDArray[np.int64],
    rows: Iterable[bytes],
) -> None:
    """Queue versioned upserts on a redis-py pipeline, sync or asyncio: calls of one partition each.

    ``ids`` are [n, entities].

    ``load_functions`` must have run on the server. A row older than the stored one changes nothing.
    Rows are kept twice their ttl, so that a stale one can be told from an absent one.
    """
    columns = [*np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64).T]
    if not columns:
        return
    lines = _Lines.of(columns, keys.partitions)
    placed = [*zip(lines.keys(_head(keys, view.name)), rows, strict=True)]
    for group in by_partition(lines.places):
        for start in range(0, len(group), KEYS_PER_CALL):
            part = [placed[index] for index in group[start : start + KEYS_PER_CALL]]
            put_encoded(pipe, part, keep_seconds=2 * view.ttl_seconds)


def put_encoded(pipe: Any, rows: Sequence[tuple[str, bytes]], keep_seconds: int) -> None:
    """Queue the upsert of (key, row) pairs of one partition; ``keep_seconds`` of 0 keeps them for ever."""
    row_keys, packed = zip(*rows, strict=True)
    pipe.fcall("put_feature_rows", len(row_keys), *row_keys, keep_seconds, *packed)


def put_row(
    pipe: Any, keys: RowKeys, view: RowLayout, ids: Sequence[int], ts_ms: int, values: Sequence[float]
) -> None:
    """Queue the versioned upsert of one row; see :func:`put_rows`."""
    put_rows(pipe, keys, view, [ids], [encode_row(view, ts_ms, values)])


async def wide_read(
    redis: Any,
    keys: RowKeys,
    views: Sequence[RowLayout],
    entity_ids: Mapping[str, NDArray[np.int64]],
    now_ms: int,
) -> WideRead:
    """All views of n candidates in one round trip, each row fetched once.

    Args:
        redis: a ``redis.asyncio`` client that does not decode responses.
        entity_ids: for each entity of ``views``, int64 [n].
        now_ms: the moment against which age and staleness are told.

    Raises:
        redis.RedisError: the server cannot be reached or does not answer in time.
    """
    known = {entity: np.unique(ids, return_inverse=True) for entity, ids in entity_ids.items()}
    lines = {
        entities: _Lines.distinct([known[entity] for entity in entities], keys.partitions)
        for entities in {view.entities for view in views}
    }
    row_keys: list[str] = []
    partitions: list[int] = []
    for view in views:
        line, _ = lines[view.entities]
        row_keys += line.keys(_head(keys, view.name))
        partitions += line.places
    pipe = redis.pipeline(transaction=False)
    groups = queue_reads(pipe, row_keys, partitions)
    blobs = in_order(groups, await pipe.execute())
    n = len(next(iter(entity_ids.values())))
    matrix = np.empty((n, sum(len(view.columns) for view in views)), dtype=np.float32)
    age_seconds = np.empty((n, len(views)))
    row = column = 0
    for number, view in enumerate(views):
        line, which = lines[view.entities]
        next_row, next_column = row + len(line.places), column + len(view.columns)
        values, age = decode_rows(view, blobs[row:next_row], now_ms)
        matrix[:, column:next_column] = values[which]
        age_seconds[:, number] = age[which]
        row, column = next_row, next_column
    stale_after = np.array([_oldest(view) for view in views])
    return WideRead(matrix, age_seconds <= stale_after, age_seconds)


class _Lines(NamedTuple):
    """Ids, a list of n for each entity, and the partitions they lie in."""

    ids: list[list[int]]
    places: list[int]
    partitions: int

    @classmethod
    def of(cls, ids: Sequence[NDArray[np.int64]], partitions: int) -> _Lines:
        return cls([column.tolist() for column in ids], (ids[0] % partitions).tolist(), partitions)

    @classmethod
    def distinct(cls, known: Sequence[_Coded], partitions: int) -> tuple[_Lines, NDArray[np.intp]]:
        """The distinct ones of n tuples, from each entity's values and codes; and which each of the n is."""
        unique, which = known[0]
        ids = [unique]
        for values, codes in known[1:]:
            pairs, which = np.unique(which * len(values) + codes, return_inverse=True)
            ids = [*(column[pairs // len(values)] for column in ids), values[pairs % len(values)]]
        return cls.of(ids, partitions), which

    def keys(self, head: str) -> list[str]:
        """The keys of the rows that begin with ``head``."""
        tags = _tags(head, self.partitions)
        # Not a list of lists: so many small ones set the collector of garbage going.
        if len(self.ids) == 1:
            return [f"{tags[place]}{only}" for place, only in zip(self.places, *self.ids, strict=True)]
        if len(self.ids) == 2:
            return [
                f"{tags[place]}{one}:{two}" for place, one, two in zip(self.places, *self.ids, strict=True)
            ]
        rows = zip(self.places, zip(*self.ids, strict=True), strict=True)
        return [tags[place] + ":".join(map(str, ids)) for place, ids in rows]


@lru_cache
def _tags(head: str, partitions: int) -> tuple[str, ...]:
    return tuple(f"{head}{{{place}}}:" for place in range(partitions))


def _decaying(view: RowLayout) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The places of the decaying columns, and their lifetimes in ms."""
    return _decaying_of(view.lifetimes_s)


@lru_cache
def _decaying_of(lifetimes_s: tuple[float | None, ...]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    decaying = [(place, seconds) for place, seconds in enumerate(lifetimes_s) if seconds is not None]
    return (
        np.array([place for place, _ in decaying], dtype=np.intp),
        np.array([seconds * 1000 for _, seconds in decaying]),
    )


def _oldest(view: RowLayout) -> float:
    """The age in seconds up to which a row counts."""
    return view.ttl_seconds or float("inf")


def _head(keys: RowKeys, view_name: str) -> str:
    return keys.head(f"feature:{view_name}")
