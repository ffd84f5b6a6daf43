"""Settings of the timeline store."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    push_below: int = 1000
    length: int = 800
    slack: int = 400
    expire_days: int = 7
