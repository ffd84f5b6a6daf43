"""Settings of the ranking service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from features.settings import FeatureSettings
from ingestion.settings import Section, TidelineSettings
from records.settings import RecordsSettings
from serving.feed.ladder import Budget, Ladder
from timelines.settings import RedisSettings, TimelineSettings
from training.settings import MlflowSettings


class ServingSection(Section):
    """``deadline_ms`` is what ranking may take before the feed turns chronological.

    ``candidates``: how many of the newest collapsed tweets are ranked, ``heads``: how many of them by the
    heads, the best by the light ranker; ``reduced_candidates`` and ``reduced_heads`` on the reduced rung.
    ``full_under_way``, ``reduced_under_way``, ``light_under_way``: with so many rankings under way in one
    process the next one takes the rung below. ``snapshot_seconds``: how long a
    ranking can be scrolled. ``records_ms``: how long PostgreSQL is waited for. ``cursor_key``: file with the
    key that signs cursors; made on the first start, and to be the same on every host of a deployment.
    """

    deadline_ms: int = Field(default=150, ge=1)
    candidates: int = Field(default=500, ge=1)
    heads: int = Field(default=150, ge=1)
    reduced_candidates: int = Field(default=150, ge=1)
    reduced_heads: int = Field(default=50, ge=1)
    full_under_way: int = Field(default=4, ge=0)
    reduced_under_way: int = Field(default=8, ge=0)
    light_under_way: int = Field(default=16, ge=0)
    snapshot_seconds: int = Field(default=600, ge=1)
    model_poll_seconds: float = Field(default=10.0, gt=0)
    redis_timeout_ms: int = Field(default=1000, ge=1)
    redis_connections: int = Field(default=64, ge=1)
    redis_wait_ms: int = Field(default=200, ge=1)
    records_ms: int = Field(default=500, ge=1)
    cursor_key: Path = Path(".tideline/keys/cursor.key")

    def ladder(self) -> Ladder:
        """The rungs of ranking with what each may cost, and the load at which each is left."""
        return Ladder(
            {
                "full": Budget(self.candidates, self.heads),
                "reduced": Budget(self.reduced_candidates, self.reduced_heads),
                "light": Budget(self.reduced_candidates, 0),
            },
            {
                "full": self.full_under_way,
                "reduced": self.reduced_under_way,
                "light": self.light_under_way,
            },
        )


class ServingSettings(TidelineSettings):
    """What the ranking service reads from the environment and the TOML files."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    records: RecordsSettings = Field(default_factory=RecordsSettings)
    timelines: TimelineSettings = Field(default_factory=TimelineSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    serving: ServingSection = Field(default_factory=ServingSection)
