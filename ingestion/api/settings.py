"""Settings of the write API."""

from __future__ import annotations

from pydantic import Field

from ingestion.settings import Section, TidelineSettings
from records.settings import RecordsSettings
from timelines.settings import RedisSettings, TimelineSettings


class WriteSection(Section):
    """Limits of what one user may write, and the numbers that tell apart the ids of several hosts.

    ``first_machine`` to ``first_machine + machines - 1`` are this host's Snowflake machine numbers, one per
    worker process; replayed data uses those below 512.
    """

    tweets_per_window: int = Field(default=300, ge=1)
    window_seconds: int = Field(default=3 * 3600, ge=1)
    idempotency_seconds: int = Field(default=24 * 3600, ge=1)
    follows: int = Field(default=5000, ge=1)
    first_machine: int = Field(default=512, ge=0, le=1023)
    machines: int = Field(default=64, ge=1, le=1024)
    redis_timeout_ms: int = Field(default=2000, ge=1)


class WriteSettings(TidelineSettings):
    """What the write API reads from the environment and the TOML files."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    records: RecordsSettings = Field(default_factory=RecordsSettings)
    timelines: TimelineSettings = Field(default_factory=TimelineSettings)
    writes: WriteSection = Field(default_factory=WriteSection)
