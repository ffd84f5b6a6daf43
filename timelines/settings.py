"""Settings of the timeline store."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class RedisSettings(BaseModel):
    """``partitions`` is fixed for the life of a deployment: every key carries ``{id mod partitions}``.

    ``cluster``: ``url`` names any node of a cluster, from which the others are learnt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "redis://127.0.0.1:6379/0"
    partitions: int = 16
    cluster: bool = False


class Projections(BaseModel):
    """The name under which each projection's keys lie; empty where that is the namespace.

    A projection is what one stream job writes, and has the job's name. ``tideline replay`` builds it under a
    name of its own, which is written here once it is served.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timelines: str = ""
    content: str = ""
    engagement: str = ""
    trends: str = ""

    def of(self, job: str) -> str:
        """The name of a job's projection; empty for a job that has none."""
        return getattr(self, job) if job in PROJECTIONS else ""


PROJECTIONS = tuple(Projections.model_fields)
UNNAMED = Projections()
"""Every projection under the namespace, as it is until the first replay."""


class TimelineSettings(BaseModel):
    """Authors with fewer than ``push_below`` followers are pushed at once; from there to ``pull_above``
    slowly, ``throttled_per_second`` deliveries for all of them; from ``pull_above`` on they are pulled at
    read. These three are where a job begins: ``tideline fan-out`` changes them while it runs.

    Once an author has ``spread_above`` followers, these are spread over all shards of the job, for ever.

    A timeline keeps its newest ``length`` entries and is trimmed when it has about ``slack`` more.

    ``rebuild_lease_ms``: after how long without an end another process takes a rebuild over.
    ``pull_cache_ms``: for how long a process may answer with the pulled entries that it read for the reader
    before; 0 turns that off. ``pull_cache_readers`` bounds how many readers it keeps them for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    push_below: int = Field(default=1000, ge=0)
    pull_above: int = Field(default=10_000, ge=0)
    throttled_per_second: int = Field(default=50_000, gt=0)
    spread_above: int = Field(default=50_000, gt=0)
    length: int = Field(default=800, ge=1, le=60_000)
    slack: int = 400
    expire_days: int = 7
    rebuild_lease_ms: int = Field(default=2000, ge=1)
    pull_cache_ms: int = Field(default=1000, ge=0)
    pull_cache_readers: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _tiers_in_order(self) -> Self:
        if self.pull_above < self.push_below:
            raise ValueError(f"pull_above ({self.pull_above}) is below push_below ({self.push_below}).")
        return self
