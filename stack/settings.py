"""Settings of the local stack: its ports, memory and disk."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ingestion.settings import Section, TidelineSettings
from records.settings import RecordsSettings
from timelines.settings import RedisSettings, TimelineSettings
from training.settings import MlflowSettings

DEFAULT_PORTS = {"kafka": 9092, "valkey": 6379, "postgres": 5432, "flink": 8081, "mlflow": 5000, "api": 8080}


Port = Annotated[int, Field(ge=0, le=65535)]


class Ports(Section):
    """A port that is set is used or refused; 0 is any free one; unset is the usual one, or a free one."""

    kafka: Port | None = None
    valkey: Port | None = None
    postgres: Port | None = None
    flink: Port | None = None
    mlflow: Port | None = None
    api: Port | None = None


class StackSection(Section):
    """Sizes in MiB, disk in GiB, times in seconds.

    ``taskmanager_mb`` is what its JVM takes; the jobs' Python lives in the same process and comes on top.
    """

    ports: Ports = Field(default_factory=Ports)
    kafka_heap_mb: int = 320
    valkey_mb: int = 1024
    postgres_mb: int = 128
    jobmanager_mb: int = 704
    taskmanager_mb: int = 3328
    slots: int = 10
    api_workers: int = 2
    disk_gb: float = 2.0
    start_seconds: float = 180.0
    stop_seconds: float = 10.0


class ApiSection(Section):
    """Where the HTTP API answers; ``tideline up`` says so in ``addresses.toml``."""

    url: str = "http://127.0.0.1:8080"


class StackSettings(TidelineSettings):
    """What ``tideline up`` reads (``TIDELINE_STACK__PORTS__KAFKA=19092`` and so on)."""

    stack: StackSection = Field(default_factory=StackSection)
    api: ApiSection = Field(default_factory=ApiSection)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    records: RecordsSettings = Field(default_factory=RecordsSettings)
    timelines: TimelineSettings = Field(default_factory=TimelineSettings)
