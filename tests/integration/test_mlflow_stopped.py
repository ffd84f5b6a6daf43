"""An MLflow server stopped in the middle of a training run: one sentence, and nothing half registered."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from training.heads import HeadParameters
from training.registry import RegistryError
from training.settings import MlflowSettings
from training.train import TrainingPlan, train
from training.versions import opened

# The server is started four times.
pytestmark = pytest.mark.timeout(900)

PLAN = TrainingPlan(head=HeadParameters(trees=15, leaves=7), light=HeadParameters(trees=3, leaves=4))


def kill(server: subprocess.Popen[bytes]) -> None:
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def test_a_server_stopped_in_the_middle_leaves_nothing_half_registered(
    startable_mlflow: tuple[str, Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]],
    examples_frame: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, running = startable_mlflow
    settings = MlflowSettings(tracking_uri=address, retries=0)
    client, frame = MlflowClient(settings.tracking_uri), examples_frame()

    with running() as server, monkeypatch.context() as patch:
        upload = MlflowClient.log_artifact

        def stopped_at_the_gains(client: MlflowClient, run_id: str, path: str, *where: Any) -> None:
            if path.endswith("gains.png"):
                kill(server)
            upload(client, run_id, path, *where)

        patch.setattr(MlflowClient, "log_artifact", stopped_at_the_gains)
        with pytest.raises(RegistryError) as away:
            train(settings, frame, PLAN)
        assert str(away.value) == (
            f"The registry at {settings.tracking_uri} failed: it does not answer; nothing is registered, so "
            "train again when it answers."
        )

    with running() as server:
        with pytest.raises(MlflowException, match="not found"):
            client.get_registered_model(settings.model_name)

        def stopped_before_registering(step: str) -> None:
            if step == "registering the version":
                kill(server)

        with pytest.raises(RegistryError, match="does not answer; nothing is registered, so train again"):
            train(settings, frame, PLAN, stopped_before_registering)

    with running() as server:
        with pytest.raises(MlflowException, match="not found"):
            client.get_registered_model(settings.model_name)

        def stopped_before_judging(step: str) -> None:
            if step.startswith("fetching version"):
                kill(server)

        with pytest.raises(RegistryError, match="version 1 is registered: `tideline models promote 1` asks"):
            train(settings, frame, PLAN, stopped_before_judging)

    with running(), opened(settings) as versions:
        assert versions.aliases() == {}
        assert [check.name for check in versions.checks("1")] == ["examples"]
        assert train(settings, frame, PLAN).version == f"{settings.model_name}@2"
        assert versions.aliases() == {"champion": "2"}
