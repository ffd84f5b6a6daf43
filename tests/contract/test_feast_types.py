"""Every type that Feast knows, through Feast's own API, on its own Redis store and on ours."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("feast")

from feast import types as feast_types
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.type_map import python_values_to_proto_values
from feast.types import Array, Float32, Int64, String, Struct
from feast.value_type import ValueType
from feast_under_test import COUNTRY, NOW, USER, Feast, feature_view

pytestmark = pytest.mark.valkey
HOUR = timedelta(hours=1)

# A feature of every type that Feast knows, with a value of it.
IDENTITY = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
EXAMPLES: dict[ValueType, tuple[Any, Any]] = {
    ValueType.BYTES: (feast_types.Bytes, b"\x00\xff"),
    ValueType.PDF_BYTES: (feast_types.PdfBytes, b"%PDF"),
    ValueType.IMAGE_BYTES: (feast_types.ImageBytes, b"\x89PNG"),
    ValueType.STRING: (String, "größer"),
    ValueType.INT32: (feast_types.Int32, -7),
    ValueType.INT64: (Int64, 2**62 + 1),
    ValueType.DOUBLE: (feast_types.Float64, 0.1),
    ValueType.FLOAT: (Float32, 0.5),
    ValueType.BOOL: (feast_types.Bool, True),
    ValueType.UNIX_TIMESTAMP: (feast_types.UnixTimestamp, NOW),
    ValueType.ZONED_TIMESTAMP: (feast_types.ZonedTimestamp, NOW),
    ValueType.UUID: (feast_types.Uuid, IDENTITY),
    ValueType.TIME_UUID: (feast_types.TimeUuid, IDENTITY),
    ValueType.DECIMAL: (feast_types.Decimal, Decimal("0.10")),
    ValueType.JSON: (feast_types.Json, {"a": [1, None]}),
    ValueType.MAP: (feast_types.Map, {"a": 1, "b": "c"}),
    ValueType.SCALAR_MAP: (feast_types.ScalarMap, {1: "one"}),
    ValueType.STRUCT: (Struct({"a": Int64, "b": String}), {"a": 1, "b": "c"}),
    ValueType.MAP_LIST: (Array(feast_types.Map), [{"a": 1}, {}]),
    ValueType.STRUCT_LIST: (Array(Struct({"a": Int64})), [{"a": 1}, {"a": 2}]),
    ValueType.JSON_LIST: (Array(feast_types.Json), [{"a": 1}, [2]]),
    ValueType.BYTES_LIST: (Array(feast_types.Bytes), [b"", b"\x00"]),
    ValueType.STRING_LIST: (Array(String), ["a", ""]),
    ValueType.INT32_LIST: (Array(feast_types.Int32), [1, -1]),
    ValueType.INT64_LIST: (Array(Int64), [1, 2**40]),
    ValueType.DOUBLE_LIST: (Array(feast_types.Float64), [0.1, -2.0]),
    ValueType.FLOAT_LIST: (Array(Float32), [0.5, -2.0]),
    ValueType.BOOL_LIST: (Array(feast_types.Bool), [True, False]),
    ValueType.UNIX_TIMESTAMP_LIST: (Array(feast_types.UnixTimestamp), [NOW, NOW - HOUR]),
    ValueType.UUID_LIST: (Array(feast_types.Uuid), [IDENTITY]),
    ValueType.TIME_UUID_LIST: (Array(feast_types.TimeUuid), [IDENTITY]),
    ValueType.DECIMAL_LIST: (Array(feast_types.Decimal), [Decimal("0.10")]),
    ValueType.VALUE_LIST: (Array(Array(Int64)), [[1, 2], [3]]),
    ValueType.BYTES_SET: (feast_types.Set(feast_types.Bytes), {b"a"}),
    ValueType.STRING_SET: (feast_types.Set(String), {"a"}),
    ValueType.INT32_SET: (feast_types.Set(feast_types.Int32), {1}),
    ValueType.INT64_SET: (feast_types.Set(Int64), {2**40}),
    ValueType.DOUBLE_SET: (feast_types.Set(feast_types.Float64), {0.1}),
    ValueType.FLOAT_SET: (feast_types.Set(Float32), {0.5}),
    ValueType.BOOL_SET: (feast_types.Set(feast_types.Bool), {True}),
    ValueType.UNIX_TIMESTAMP_SET: (feast_types.Set(feast_types.UnixTimestamp), {NOW}),
    ValueType.UUID_SET: (feast_types.Set(feast_types.Uuid), {IDENTITY}),
    ValueType.TIME_UUID_SET: (feast_types.Set(feast_types.TimeUuid), {IDENTITY}),
    ValueType.DECIMAL_SET: (feast_types.Set(feast_types.Decimal), {Decimal("0.10")}),
    ValueType.VALUE_SET: (feast_types.Set(feast_types.Set(Int64)), [[1], [3]]),
}


def test_every_type_of_feast_has_an_example() -> None:
    assert set(ValueType) - {ValueType.UNKNOWN, ValueType.NULL} == set(EXAMPLES)


def test_a_value_of_every_type_comes_back_as_it_went(feast: Feast) -> None:
    features = {kind.name.lower(): (dtype, value) for kind, (dtype, value) in EXAMPLES.items()}
    view = feature_view("typed", [COUNTRY], **{name: dtype for name, (dtype, _) in features.items()})
    feast.apply(COUNTRY, view)
    feast.write(view, ({"country": "é"}, {name: value for name, (_, value) in features.items()}, NOW))
    answer = feast.store.get_online_features(
        features=[f"typed:{name}" for name in features], entity_rows=[{"country": "é"}]
    ).proto
    read = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
    for name, (_, value) in features.items():
        [written] = python_values_to_proto_values([value], ValueType[name.upper()])
        assert read[name].values[0] == written, name
        assert read[name].statuses[0] == FieldStatus.PRESENT


def test_every_type_may_be_null(feast: Feast) -> None:
    view = feature_view(
        "nulls", [USER], **{kind.name.lower(): dtype for kind, (dtype, _) in EXAMPLES.items()}
    )
    feast.apply(USER, view)
    feast.write(view, ({"user": 1}, {kind.name.lower(): None for kind in EXAMPLES}, NOW))
    refs = [f"nulls:{kind.name.lower()}" for kind in EXAMPLES]
    answer = feast.store.get_online_features(features=refs, entity_rows=[{"user": 1}]).proto
    assert {result.values[0].WhichOneof("val") for result in answer.results[1:]} == {None}
