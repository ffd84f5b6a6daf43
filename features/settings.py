"""Settings of the feature store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from ingestion.settings import TidelineSettings
from timelines.settings import Projections, RedisSettings


class FeatureSettings(BaseModel):
    """``offline``/<namespace>/<view name>/ holds Parquet; ``registry`` is Feast's registry file.

    ``spark_memory`` is the heap of the Spark driver, which in local mode is the whole of Spark;
    ``spark_master`` may be a cluster's address. ``late_days``: how many days before the last one built are
    built again when the lake has new events of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    offline: Path = Path(".tideline/offline")
    registry: Path = Path(".tideline/feast/registry.db")
    quality: Path = Path(".tideline/quality")
    spark_master: str = "local[2]"
    spark_memory: str = "2g"
    shuffle_partitions: int = 4
    late_days: int = 3


class FeatureStoreSettings(TidelineSettings):
    """What opening the feature store takes."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)


class HasFeatureStore(Protocol):
    """Any process's settings that carry the sections of :class:`FeatureStoreSettings`."""

    @property
    def namespace(self) -> str: ...
    @property
    def projections(self) -> Projections: ...
    @property
    def redis(self) -> RedisSettings: ...
    @property
    def features(self) -> FeatureSettings: ...
