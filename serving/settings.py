"""Settings of the ranking service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from features.settings import FeatureSettings
from ingestion.settings import Section, TidelineSettings
from records.settings import RecordsSettings
from serving.experiments.assignment import Assignment
from serving.feed.ladder import Ladder
from serving.feed.policy import Policy, default_policy, load_policy
from serving.live.settings import LiveSection
from timelines.settings import RedisSettings, TimelineSettings
from training.settings import MlflowSettings


class BreakerSection(Section):
    """When calls of a dependency are not made for ``pause_ms``.

    Of the last ``calls``, and not before there were ``least_calls``, a share of ``failure_rate`` failed or a
    share of ``slow_rate`` took ``slow_ms`` or longer.
    """

    calls: int = Field(default=100, ge=1)
    least_calls: int = Field(default=10, ge=1)
    failure_rate: float = Field(default=0.5, gt=0, le=1)
    slow_ms: int = Field(default=250, ge=1)
    slow_rate: float = Field(default=0.5, gt=0, le=1)
    pause_ms: int = Field(default=2000, ge=1)


class ServingSection(Section):
    """``deadline_ms`` is what ranking may take, the wait included, before the feed turns chronological.

    ``policy``: the file with the figures of selection, the one that comes with the package without it.
    ``experiment``: the file of the experiment under way, if there is one. ``feature_log_share``: of the
    requests, whose impressions carry their features.
    ``at_once``: pages that one process makes at a time; the others wait their turn. ``full_under_way``,
    ``reduced_under_way``, ``light_under_way``: with so many made or waiting the next one takes the rung
    below, as does one that has waited for longer than the share ``full_waited``, ``reduced_waited``,
    ``light_waited`` of the deadline. ``snapshot_seconds``: how long after a page the ranking can be scrolled
    on. ``records_ms``: how long PostgreSQL is waited for. ``cursor_key``: file with the key that signs
    cursors; made on the first start, and to be the same on every host of a deployment.
    """

    deadline_ms: int = Field(default=150, ge=1)
    policy: Path | None = None
    experiment: Path | None = None
    feature_log_share: float = Field(default=1.0, ge=0, le=1)
    at_once: int = Field(default=2, ge=1)
    full_under_way: int = Field(default=4, ge=0)
    reduced_under_way: int = Field(default=8, ge=0)
    light_under_way: int = Field(default=16, ge=0)
    full_waited: float = Field(default=0.2, ge=0)
    reduced_waited: float = Field(default=0.35, ge=0)
    light_waited: float = Field(default=0.5, ge=0)
    snapshot_seconds: int = Field(default=600, ge=1)
    model_poll_seconds: float = Field(default=10.0, gt=0)
    redis_timeout_ms: int = Field(default=1000, ge=1)
    redis_connections: int = Field(default=64, ge=1)
    redis_wait_ms: int = Field(default=200, ge=1)
    redis_breaker: BreakerSection = Field(default_factory=BreakerSection)
    records_ms: int = Field(default=500, ge=1)
    records_breaker: BreakerSection = Field(default_factory=lambda: BreakerSection(slow_ms=400))
    cursor_key: Path = Path(".tideline/keys/cursor.key")

    def ladder(self) -> Ladder:
        """The load at which each rung of ranking is left."""
        return Ladder(
            {
                "full": self.full_under_way,
                "reduced": self.reduced_under_way,
                "light": self.light_under_way,
            },
            {"full": self.full_waited, "reduced": self.reduced_waited, "light": self.light_waited},
        )

    def load_policy(self) -> Policy:
        """The policy in force.

        Raises:
            TomlFileError: the file cannot be read or is not a complete policy.
        """
        return default_policy() if self.policy is None else load_policy(self.policy)

    def load_assignment(self) -> Assignment | None:
        """The experiment under way.

        Raises:
            TomlFileError: its file, or a policy that it names, is not right.
        """
        return None if self.experiment is None else Assignment.load(self.experiment, self.load_policy())


class ServingSettings(TidelineSettings):
    """What the ranking service reads from the environment and the TOML files."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    records: RecordsSettings = Field(default_factory=RecordsSettings)
    timelines: TimelineSettings = Field(default_factory=TimelineSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    serving: ServingSection = Field(default_factory=ServingSection)
    live: LiveSection = Field(default_factory=LiveSection)
