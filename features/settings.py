"""Settings of the feature store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from features.labels import ATTRIBUTION_MS
from ingestion.settings import TidelineSettings
from timelines.durations import HOUR_MS
from timelines.settings import Projections, RedisSettings


class ParitySettings(BaseModel):
    """How far the features logged at serving may be from the offline ones before a model may not serve.

    Two values are equal within ``absolute`` + ``relative`` * |offline|. ``differing`` and ``missing`` are the
    largest shares, of at least ``least_values`` values of a feature, that may differ or be there on one side
    only. A page may have been served from a materialization that was up to ``stale_hours`` old. At most
    ``rows`` logged rows are compared, the newest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    absolute: float = Field(default=1e-6, ge=0)
    relative: float = Field(default=1e-4, ge=0)
    differing: float = Field(default=0.02, ge=0, le=1)
    missing: float = Field(default=0.02, ge=0, le=1)
    least_values: int = Field(default=100, ge=1)
    stale_hours: float = Field(default=25.0, ge=0)
    rows: int = Field(default=100_000, ge=1)


class MaterializationLimits(BaseModel):
    """What the rows of a view must meet before they are written to the online store.

    The newest row of a view may be ``age_hours`` old. ``stability_index`` bounds how far a column may have
    moved since the last training set ended (PSI, see :mod:`features.drift`), where there are ``least_rows``
    entities on both sides; ``missing`` is by how much the share of missing values may have grown. ``rows``
    entities of a view are looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    age_hours: float = Field(default=48.0, gt=0)
    stability_index: float = Field(default=0.5, gt=0)
    missing: float = Field(default=0.05, ge=0, le=1)
    least_rows: int = Field(default=200, ge=1)
    rows: int = Field(default=10_000, ge=1)


class FeatureSettings(BaseModel):
    """``offline``/<namespace>/<view name>/ holds Parquet; ``registry`` is Feast's registry file.

    ``spark_memory`` is the heap of the Spark driver, which in local mode is the whole of Spark;
    ``spark_master`` may be a cluster's address. ``late_days``: how many days before the last one built are
    built again when the lake has new events of them. ``attribution_hours`` after its showing, what a reader
    does with an item is still credited to it; an example has all its labels only then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    offline: Path = Path(".tideline/offline")
    registry: Path = Path(".tideline/feast/registry.db")
    quality: Path = Path(".tideline/quality")
    spark_master: str = "local[2]"
    spark_memory: str = "2g"
    shuffle_partitions: int = 4
    late_days: int = 3
    attribution_hours: float = Field(default=ATTRIBUTION_MS / HOUR_MS, gt=0, allow_inf_nan=False)
    parity: ParitySettings = Field(default_factory=ParitySettings)
    materialization: MaterializationLimits = Field(default_factory=MaterializationLimits)

    @property
    def attribution_ms(self) -> int:
        return round(self.attribution_hours * HOUR_MS)


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
