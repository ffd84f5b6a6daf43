"""Settings of the model registry, and of a training run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from features.settings import FeatureStoreSettings


class MlflowSettings(BaseModel):
    """``alias`` of ``model_name`` is what the ranking service loads.

    ``retries`` and ``timeout_seconds`` bound a server's calls to the registry, ``training_timeout_seconds``
    those of a training run, which can afford to wait: MLflow's own defaults (7 retries of 120 s) would hang.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tracking_uri: str = "http://127.0.0.1:5000"
    model_name: str = "tideline-ranker"
    alias: str = "champion"
    experiment: str = "ranking"
    retries: int = 1
    timeout_seconds: int = 5
    training_timeout_seconds: int = 60


class TrainingSettings(FeatureStoreSettings):
    """What ``tideline train`` reads: where the examples are, and where the model goes."""

    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
