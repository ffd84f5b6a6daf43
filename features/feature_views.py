"""The Feast objects, built from the vocabulary in ``features.names``.

Only ``features.store`` and ``features.feast_cli`` import this module; everyone else refers to views and
services by name. ``import feast`` takes seconds, so what Flink workers import must not import it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Float32, Int64
from feast.value_type import ValueType

from features.names import FEATURE_SERVICE, ONLINE_VIEWS, VIEWS, Feature, View
from features.stored_views import DECAY_TAG

EVENT_TIMESTAMP = "event_timestamp"
CREATED = "created"

_MEANINGS = {
    "user": "the reader",
    "author": "who wrote the tweet",
    "tweet": "the original tweet",
}


def feature_objects(offline: Path) -> list[Entity | FeatureView | FeatureService]:
    """Entities, one feature view per view of the vocabulary over ``offline``/<view name>, and the service.

    A view without an offline twin names a folder that nobody fills: it is read online only.
    """
    entities = {
        name: Entity(name=name, join_keys=[name], value_type=ValueType.INT64, description=meaning)
        for name, meaning in _MEANINGS.items()
    }
    views = [_feature_view(view, entities, offline) for view in VIEWS]
    service = FeatureService(
        name=FEATURE_SERVICE,
        features=views,
        description="The model's input, without the columns computed from the request itself.",
    )
    online = [_feature_view(view, entities, offline) for view in ONLINE_VIEWS]
    return [*entities.values(), *views, *online, service]


def _feature_view(view: View, entities: dict[str, Entity], offline: Path) -> FeatureView:
    return FeatureView(
        name=view.name,
        entities=[entities[name] for name in view.entities],
        ttl=timedelta(days=view.ttl_days),
        schema=[
            *(Field(name=name, dtype=Int64) for name in view.entities),
            *(_field(feature) for feature in view.features),
        ],
        source=SparkSource(
            name=f"{view.name}_rows",
            path=str((offline / view.name).absolute()),
            file_format="parquet",
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED,
        ),
        online=True,
        tags={"engine": view.engine},
    )


def _field(feature: Feature) -> Field:
    tags = {} if feature.decay_s is None else {DECAY_TAG: str(feature.decay_s)}
    return Field(name=feature.name, dtype=Float32, description=feature.meaning, tags=tags)
