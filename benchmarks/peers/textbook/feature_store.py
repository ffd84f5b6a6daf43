"""Feast with its stock Redis store, and our features defined in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.repo_config import RegistryConfig
from feast.types import Float32, Int64
from feast.value_type import ValueType

from features.names import FEATURE_SERVICE, VIEWS


def open_stock_store(registry: Path, redis_url: str) -> FeatureStore:
    """The registry is read once and kept."""
    config = RepoConfig(
        project="textbook",
        provider="local",
        registry=RegistryConfig(path=str(registry), cache_ttl_seconds=0),
        online_store={"type": "redis", "connection_string": urlsplit(redis_url).netloc},
        entity_key_serialization_version=3,
    )
    return FeatureStore(config=config)


def definitions() -> list[Entity | FeatureView | FeatureService]:
    """The entities, views and service of the model's input."""
    entities = {
        name: Entity(name=name, join_keys=[name], value_type=ValueType.INT64)
        for name in ("user", "author", "tweet")
    }
    views = [
        FeatureView(
            name=view.name,
            entities=[entities[name] for name in view.entities],
            ttl=timedelta(days=view.ttl_days),
            schema=[
                *(Field(name=name, dtype=Int64) for name in view.entities),
                *(Field(name=column, dtype=Float32) for column in view.columns),
            ],
            source=FileSource(
                name=f"{view.name}_rows", path="unused.parquet", timestamp_field="event_timestamp"
            ),
        )
        for view in VIEWS
    ]
    return [*entities.values(), *views, FeatureService(name=FEATURE_SERVICE, features=views)]
