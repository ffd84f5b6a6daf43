"""How the online store keeps the rows of a Feast view: packed float32, or each value in Feast's encoding."""

from __future__ import annotations

import hashlib
import logging
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import numpy as np
from feast import FeatureView, Field
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32

from features.layout import RowKeys
from features.rows import HEADER_BYTES, at_age, encode_rows, row_key, unpack_rows

DECAY_TAG = "decay_s"
"""The tag of a Float32 field that says its lifetime in seconds: it is read as what is left by then."""
ENCODED_VERSION = 130
_INT64 = "int64_val"
_HEADER = struct.Struct(">BIq")
_TYPE = struct.Struct("<I")

WriteRow = tuple[EntityKey, Mapping[str, Value], datetime, datetime | None]
TimedValues = tuple[int, dict[str, Value]]

_logger = logging.getLogger(__name__)


class StoredView(Protocol):
    """Where the rows of one view stand and how they are written down."""

    @property
    def name(self) -> str: ...
    @property
    def ttl_seconds(self) -> int:
        """0 where rows never go stale."""
        ...

    def place(self, keys: RowKeys, entity: EntityKey) -> tuple[int, str]:
        """The partition and the key of an entity's row.

        Raises:
            ValueError: these are not the view's join keys.
        """
        ...

    def encode(self, rows: Sequence[WriteRow]) -> list[bytes]:
        """Rows as they are stored.

        Raises:
            ValueError: a value is not of its feature's type.
        """
        ...

    def decode(self, blobs: Sequence[bytes | None], now_ms: int) -> list[TimedValues | None]:
        """Event time (ms) and values at ``now_ms`` of each row; None where there is none."""
        ...


@dataclass(frozen=True)
class PackedView:
    """Float32 features of Int64 join keys: a layout of ``features.rows``."""

    name: str
    entities: tuple[str, ...]
    columns: tuple[str, ...]
    ttl_seconds: int
    lifetimes_s: tuple[float | None, ...]

    def place(self, keys: RowKeys, entity: EntityKey) -> tuple[int, str]:
        values = _key_values(self.name, dict.fromkeys(self.entities, _INT64), entity)
        ids = [value.int64_val for value in values]
        return ids[0] % keys.partitions, row_key(keys, self, ids)

    def encode(self, rows: Sequence[WriteRow]) -> list[bytes]:
        times = np.array([millis(when) for _, _, when, _ in rows], dtype=np.int64)
        numbers = [
            [self._number(column, values.get(column)) for column in self.columns] for _, values, _, _ in rows
        ]
        return encode_rows(self, times, np.array(numbers, dtype=np.float32))

    def decode(self, blobs: Sequence[bytes | None], now_ms: int) -> list[TimedValues | None]:
        matrix, times = unpack_rows(self, blobs)
        if foreign := sum(blob is not None for blob in blobs) - int((times >= 0).sum()):
            _logger.warning(
                "%d rows of %s were written for another schema: they read as missing until written again.",
                foreign,
                self.name,
            )
        matrix = at_age(self, matrix, (now_ms - times).astype(np.float64))
        columns = self.columns
        return [
            None
            if ts_ms < 0
            else (
                ts_ms,
                {
                    name: Value() if value != value else Value(float_val=value)
                    for name, value in zip(columns, line, strict=True)
                },
            )
            for ts_ms, line in zip(times.tolist(), matrix.tolist(), strict=True)
        ]

    def _number(self, column: str, value: Value | None) -> float:
        kind = None if value is None else value.WhichOneof("val")
        if value is None or kind in (None, "null_val"):
            return float("nan")
        if kind != "float_val":
            raise ValueError(f"The feature {column} of {self.name} is float, not {_said(kind)}.")
        return float(value.float_val)


@dataclass(frozen=True)
class EncodedView:
    """Any types: version, 4 bytes of zeros, event time, then a MessagePack map of feature name to value.

    Each value is a fingerprint of the feature's type (4 bytes) and Feast's protobuf: a value of another type
    than the schema's reads as null.
    """

    name: str
    key_kinds: Mapping[str, str]
    ttl_seconds: int
    types: Mapping[str, bytes]

    def place(self, keys: RowKeys, entity: EntityKey) -> tuple[int, str]:
        _key_values(self.name, self.key_kinds, entity)
        # A hash, because the serialized key of a long string would make a long Redis key.
        identity = serialize_entity_key(entity, entity_key_serialization_version=3)
        entity_id = int.from_bytes(hashlib.blake2b(identity, digest_size=16).digest())
        return entity_id % keys.partitions, row_key(keys, self, [entity_id])

    def encode(self, rows: Sequence[WriteRow]) -> list[bytes]:
        return [
            _HEADER.pack(ENCODED_VERSION, 0, millis(when))
            + msgspec.msgpack.encode(
                {
                    name: self.types[name] + value.SerializeToString()
                    for name, value in values.items()
                    if name in self.types
                }
            )
            for _, values, when, _ in rows
        ]

    def decode(self, blobs: Sequence[bytes | None], now_ms: int) -> list[TimedValues | None]:
        return [None if not blob or blob[0] != ENCODED_VERSION else self._decoded(blob) for blob in blobs]

    def _decoded(self, blob: bytes) -> TimedValues:
        _, _, ts_ms = _HEADER.unpack_from(blob)
        stored: dict[str, bytes] = msgspec.msgpack.decode(blob[HEADER_BYTES:], type=dict[str, bytes])
        return ts_ms, {name: _value(stored.get(name, b""), kind) for name, kind in self.types.items()}


def stored_view(table: FeatureView) -> PackedView | EncodedView:
    """The form in which rows of ``table`` are kept, told from its schema alone.

    Raises:
        ValueError: a feature of a view that cannot be packed is to decay.
    """
    ttl_seconds = int(table.ttl.total_seconds()) if table.ttl else 0
    keys = {
        column.name: f"{column.dtype.to_value_type().name.lower()}_val" for column in table.entity_columns
    }
    numeric = all(feature.dtype == Float32 for feature in table.features)
    if numeric and set(keys.values()) == {_INT64}:
        columns = tuple(feature.name for feature in table.features)
        lifetimes_s = tuple(_lifetime(feature) for feature in table.features)
        return PackedView(table.name, tuple(keys), columns, ttl_seconds, lifetimes_s)
    if any(DECAY_TAG in feature.tags for feature in table.features):
        raise ValueError(f"{table.name}: {DECAY_TAG} takes Float32 features and Int64 join keys only.")
    types = {feature.name: _TYPE.pack(zlib.crc32(str(feature.dtype).encode())) for feature in table.features}
    return EncodedView(table.name, keys, ttl_seconds, types)


def millis(when: datetime) -> int:
    """Milliseconds UTC; a naive time is UTC."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _lifetime(feature: Field) -> float | None:
    return float(feature.tags[DECAY_TAG]) if DECAY_TAG in feature.tags else None


def _key_values(name: str, kinds: Mapping[str, str], key: EntityKey) -> list[Value]:
    """The values of a key in the order of ``kinds``, which is empty where a view has no entity."""
    by_name = dict(zip(key.join_keys, key.entity_values, strict=True))
    if kinds and by_name.keys() != kinds.keys():
        raise ValueError(
            f"The join keys of {name} are {', '.join(kinds)}, not {', '.join(by_name) or 'none'}."
        )
    for join_key, kind in kinds.items():
        if (found := by_name[join_key].WhichOneof("val")) != kind:
            raise ValueError(f"The join key {join_key} of {name} is {_said(kind)}, not {_said(found)}.")
    return [by_name[join_key] for join_key in kinds]


def _value(stored: bytes, kind: bytes) -> Value:
    return Value.FromString(stored[_TYPE.size :]) if stored.startswith(kind) else Value()


def _kind(column: Field) -> str:
    """The field of Feast's value that holds a join key."""
    return f"{column.dtype.to_value_type().name.lower()}_val"


def _said(kind: str | None) -> str:
    return "null" if kind is None else kind.removesuffix("_val")
