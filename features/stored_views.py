"""How the online store keeps the rows of a Feast view: packed float32, or each value in Feast's encoding."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

import msgspec
import numpy as np
from feast import FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32, Int64

from features.names import ONLINE_VIEWS, VIEWS, Feature, View
from features.rows import HEADER_BYTES, at_age, encode_rows, row_key, unpack_rows
from timelines.keys import Keyspace

ENCODED_VERSION = 129
_VOCABULARY = {view.name: view for view in (*VIEWS, *ONLINE_VIEWS)}

WriteRow = tuple[EntityKey, Mapping[str, Value], datetime, datetime | None]
TimedValues = tuple[int, dict[str, Value]]


class StoredView(Protocol):
    """Where the rows of one view stand and how they are written down."""

    @property
    def ttl_seconds(self) -> int:
        """0 where rows never go stale."""
        ...

    def place(self, keys: Keyspace, entity: EntityKey) -> tuple[int, str]:
        """The partition and the key of an entity's row."""
        ...

    def encode(self, rows: Sequence[WriteRow]) -> list[bytes]:
        """Rows as they are stored."""
        ...

    def decode(self, blobs: Sequence[bytes | None], now_ms: int) -> list[TimedValues | None]:
        """Event time (ms) and values at ``now_ms`` of each row; None where there is none."""
        ...


@dataclass(frozen=True)
class PackedView:
    """Float32 features of one or two Int64 join keys, in the layout of ``features.rows``."""

    view: View
    ttl_seconds: int

    def place(self, keys: Keyspace, entity: EntityKey) -> tuple[int, str]:
        by_name = dict(zip(entity.join_keys, entity.entity_values, strict=True))
        ids = [by_name[name].int64_val for name in self.view.entities]
        return keys.partition(ids[0]), row_key(keys, self.view, ids)

    def encode(self, rows: Sequence[WriteRow]) -> list[bytes]:
        times = np.array([millis(when) for _, _, when, _ in rows], dtype=np.int64)
        matrix = np.array(
            [[_number(values.get(column)) for column in self.view.columns] for _, values, _, _ in rows],
            dtype=np.float32,
        )
        return encode_rows(self.view, times, matrix)

    def decode(self, blobs: Sequence[bytes | None], now_ms: int) -> list[TimedValues | None]:
        matrix, times = unpack_rows(self.view, blobs)
        matrix = at_age(self.view, matrix, (now_ms - times).astype(np.float64))
        columns = self.view.columns
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


@dataclass(frozen=True)
class EncodedView:
    """Any types: the same 9-byte header, then a MessagePack map of feature name to serialized value."""

    name: str
    ttl_seconds: int

    def place(self, keys: Keyspace, entity: EntityKey) -> tuple[int, str]:
        # A hash, because the serialized key of a long string would make a long Redis key.
        identity = serialize_entity_key(entity, entity_key_serialization_version=3)
        entity_id = int.from_bytes(hashlib.blake2b(identity, digest_size=16).digest())
        return keys.partition(entity_id), keys.key(f"feature:{self.name}", entity_id)

    def encode(self, rows: Sequence[WriteRow]) -> list[bytes]:
        return [
            struct.pack(">Bq", ENCODED_VERSION, millis(when))
            + msgspec.msgpack.encode({name: value.SerializeToString() for name, value in values.items()})
            for _, values, when, _ in rows
        ]

    def decode(self, blobs: Sequence[bytes | None], now_ms: int) -> list[TimedValues | None]:
        return [None if blob is None or blob[0] != ENCODED_VERSION else _decoded(blob) for blob in blobs]


def stored_view(table: FeatureView) -> StoredView:
    """The form in which rows of ``table`` are kept, told from its schema alone."""
    ttl_seconds = int(table.ttl.total_seconds()) if table.ttl else 0
    numeric = all(field.dtype == Float32 for field in table.features)
    join_keys = [column.name for column in table.entity_columns if column.dtype == Int64]
    if numeric and 0 < len(join_keys) == len(table.entity_columns) <= 2:
        view = _VOCABULARY.get(table.name)
        columns = {field.name for field in table.features}
        if view is None or set(view.columns) != columns or set(view.entities) != set(join_keys):
            features = tuple(Feature(field.name, "") for field in table.features)
            view = View(table.name, cast(Any, tuple(sorted(join_keys))), "spark", 0, features)
        return PackedView(view, ttl_seconds)
    return EncodedView(table.name, ttl_seconds)


def millis(when: datetime) -> int:
    """Milliseconds UTC; a naive time is UTC."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _number(value: Value | None) -> float:
    return value.float_val if value is not None and value.WhichOneof("val") == "float_val" else float("nan")


def _decoded(blob: bytes) -> TimedValues:
    _, ts_ms = struct.unpack(">Bq", blob[:HEADER_BYTES])
    encoded: dict[str, bytes] = msgspec.msgpack.decode(blob[HEADER_BYTES:], type=dict[str, bytes])
    return ts_ms, {name: Value.FromString(value) for name, value in encoded.items()}
