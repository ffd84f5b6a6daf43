"""Settings of the model registry, and of a training run."""

from __future__ import annotations

from pathlib import Path

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


class GateSettings(BaseModel):
    """What a model must show on held-out examples before it may become champion.

    A margin is how far below zero the 95 % interval of the paired difference to the champion may reach: in
    nDCG@10, MRR and AP (0 to 1) and in RCE (percent). ``scoring_ratio`` bounds what a page costs, as a ratio
    to one plain head of 200 trees of 31 leaves on 500 rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ndcg_10_margin: float = Field(default=0.01, ge=0)
    mrr_margin: float = Field(default=0.01, ge=0)
    ap_margin: float = Field(default=0.01, ge=0)
    rce_margin: float = Field(default=1.0, ge=0)
    calibration_error: float = Field(default=0.05, gt=0)
    scoring_ratio: float = Field(default=2.0, gt=0)
    least_lists: int = Field(default=30, ge=1)
    least_readers: int = Field(default=20, ge=2)

    def margin(self, metric: str) -> float:
        """The margin of a metric by its name in a comparison: ``ndcg_10``, ``engaged.ap``."""
        return float(getattr(self, f"{metric.rsplit('.', 1)[-1]}_margin"))


class TuningSettings(BaseModel):
    """``folder`` keeps the studies and what they found; ``trials`` and ``seconds`` are a study's budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path(".tideline/tuning")
    trials: int = Field(default=30, ge=1)
    seconds: float = Field(default=1800.0, gt=0, allow_inf_nan=False)


class DriftSettings(BaseModel):
    """How far what is served may be from what the champion was made on before ``tideline drift`` fails.

    Rows shown in the last ``hours`` are looked at, if there are ``least_rows``. ``stability_index`` bounds
    the PSI of each feature and of the scores (0.25 is the usual limit), ``rate_ratio`` how many times more or
    less frequent a label may be, ``age_hours`` the age of the newest offline row of a view.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: float = Field(default=24.0, gt=0)
    least_rows: int = Field(default=500, ge=1)
    stability_index: float = Field(default=0.25, gt=0)
    rate_ratio: float = Field(default=2.0, gt=1)
    age_hours: float = Field(default=26.0, gt=0)


class TrainingSettings(FeatureStoreSettings):
    """What ``tideline train``, ``tune`` and ``models`` read: where the examples are, where the model goes."""

    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    drift: DriftSettings = Field(default_factory=DriftSettings)
    tuning: TuningSettings = Field(default_factory=TuningSettings)
