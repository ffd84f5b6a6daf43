"""Settings of the timeline store."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RedisSettings(BaseModel):
    """``partitions`` is fixed for the life of a deployment: every key carries ``{id mod partitions}``.

    ``cluster``: ``url`` names any node of a cluster, from which the others are learnt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "redis://127.0.0.1:6379/0"
    partitions: int = 16
    cluster: bool = False


class TimelineSettings(BaseModel):
    """``push_below``: authors with fewer followers are pushed, the others pulled at read.

    A timeline keeps its newest ``length`` entries and is trimmed when it has about ``slack`` more.

    ``rebuild_lease_ms``: after how long without an end another process takes a rebuild over.
    ``pull_cache_ms``: for how long a process may answer with the pulled entries that it read for the reader
    before; 0 turns that off. ``pull_cache_readers`` bounds how many readers it keeps them for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    push_below: int = 1000
    length: int = Field(default=800, ge=1, le=60_000)
    slack: int = 400
    expire_days: int = 7
    rebuild_lease_ms: int = Field(default=2000, ge=1)
    pull_cache_ms: int = Field(default=1000, ge=0)
    pull_cache_readers: int = Field(default=1000, ge=1)
