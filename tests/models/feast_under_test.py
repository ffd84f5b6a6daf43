"""Feast over one of the online stores, and the views that its behaviour is tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import Float32, Int64, String
from feast.value_type import ValueType

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Feast:
    """A feature store over one of the online stores."""

    store: FeatureStore
    kind: str

    def apply(self, *objects: Any) -> None:
        self.store.apply(list(objects))

    def write(self, view: FeatureView, *rows: tuple[Mapping[str, Any], Mapping[str, Any], datetime]) -> None:
        """Rows of (keys, values, event time) in Python's values, as the registered view types them."""
        registered = self.store.get_feature_view(view.name)
        types = {column.name: column.dtype.to_value_type() for column in registered.entity_columns}
        types |= {feature.name: feature.dtype.to_value_type() for feature in registered.features}

        def protos(values: Mapping[str, Any]) -> dict[str, Value]:
            return {
                name: python_values_to_proto_values([value], types[name])[0] for name, value in values.items()
            }

        data = []
        for keys, values, when in rows:
            entity = EntityKey(join_keys=list(keys), entity_values=list(protos(keys).values()))
            data.append((entity, protos(values), when, None))
        self.store.provider.online_write_batch(self.store.config, registered, data, None)

    def read(self, features: Any, *rows: Mapping[str, Any], **options: Any) -> dict[str, list[Any]]:
        answer = self.store.get_online_features(features=features, entity_rows=list(rows), **options)
        return dict(answer.to_dict())


def open_project(kind: str, url: str, folder: Path, project: str) -> Feast:
    """An empty project; ``kind`` is ``stock``, ``valkey`` or ``valkey_cluster``."""
    stock = {"type": "redis", "connection_string": url.removeprefix("redis://").removesuffix("/0")}
    ours = {
        "type": "features.online_store.TidelineOnlineStore",
        "url": url,
        "cluster": kind == "valkey_cluster",
        "partitions": 4,
    }
    config = RepoConfig(
        project=project,
        provider="local",
        registry=str(folder / f"{project}.db"),
        online_store=stock if kind == "stock" else ours,
        entity_key_serialization_version=3,
    )
    return Feast(FeatureStore(config=config), kind)


USER = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
AUTHOR = Entity(name="author", join_keys=["author"], value_type=ValueType.INT64)
COUNTRY = Entity(name="country", join_keys=["country"], value_type=ValueType.STRING)
_KEY_TYPES = {"user": Int64, "author": Int64, "country": String}


def feature_view(
    name: str, entities: list[Entity], ttl: timedelta | None = None, **features: Any
) -> FeatureView:
    return FeatureView(
        name=name,
        entities=entities,
        schema=[
            *(Field(name=entity.name, dtype=_KEY_TYPES[entity.name]) for entity in entities),
            *(Field(name=feature, dtype=dtype) for feature, dtype in features.items()),
        ],
        ttl=timedelta(0),
        source=FileSource(name=f"{name}_rows", path="unused.parquet", timestamp_field="event_timestamp"),
    )


PACKED = feature_view("packed", [USER], likes=Float32, rate=Float32)
ENCODED = feature_view("encoded", [USER], likes=Float32, rate=Float32, label=String)
BOTH = pytest.mark.parametrize("view", [PACKED, ENCODED], ids=["packed", "encoded"])
