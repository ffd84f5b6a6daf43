"""A training run against a real MLflow server: logged, registered, found again through the alias."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.labels import LABELS
from features.names import MODEL_INPUT
from training.bundle import Bundle
from training.heads import HeadParameters
from training.registry import RegistryError, champion_version, download_champion
from training.settings import GateSettings, MlflowSettings
from training.train import TrainingPlan, TrainingResult, train
from training.versions import opened

SMALL = HeadParameters(trees=20, leaves=7)
PLAN = TrainingPlan(head=SMALL, light=HeadParameters(trees=5, leaves=4))
# Models of other examples differ by chance.
LENIENT = GateSettings(ndcg_10_margin=0.2, mrr_margin=0.2, ap_margin=0.2, rce_margin=20)

# The server imports for long on a busy machine.
pytestmark = pytest.mark.timeout(600)

Make = Callable[..., pd.DataFrame]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def settings(mlflow_server: str) -> MlflowSettings:
    return MlflowSettings(tracking_uri=mlflow_server, timeout_seconds=30)


@pytest.fixture(scope="module")
def trained(settings: MlflowSettings, examples_frame: Make) -> TrainingResult:
    return train(settings, examples_frame(), PLAN)


def test_a_good_model_becomes_champion(trained: TrainingResult, settings: MlflowSettings) -> None:
    assert trained.refusal is None
    assert trained.version == f"tideline-ranker@{champion_version(settings)}"
    assert json.loads(json.dumps(trained.summary()))["model"] == trained.version


def test_the_champion_comes_back_as_a_bundle_that_scores(
    trained: TrainingResult, settings: MlflowSettings, tmp_path: Path
) -> None:
    path, version = download_champion(settings, tmp_path)
    assert version == trained.version
    bundle = Bundle.load(path)
    assert bundle.manifest.data_fingerprint == trained.data_fingerprint
    matrix = np.full((3, len(MODEL_INPUT)), np.nan, dtype=np.float32)
    assert np.isfinite(bundle.score(matrix).score).all()


def test_a_version_already_on_disk_is_not_fetched_again(
    trained: TrainingResult, settings: MlflowSettings, tmp_path: Path
) -> None:
    path, _ = download_champion(settings, tmp_path)
    (path / "mark").touch()
    again, _ = download_champion(settings, tmp_path)
    assert (again / "mark").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_mlflows_own_client_resolves_the_alias_to_the_same_files(
    trained: TrainingResult, settings: MlflowSettings, tmp_path: Path
) -> None:
    import mlflow

    mlflow.set_tracking_uri(settings.tracking_uri)
    fetched = Path(
        mlflow.artifacts.download_artifacts("models:/tideline-ranker@champion", dst_path=tmp_path / "a")
    )
    path, _ = download_champion(settings, tmp_path / "b")
    assert {file.name: file.read_bytes() for file in fetched.iterdir()} == {
        file.name: file.read_bytes() for file in path.iterdir()
    }


def test_the_run_holds_parameters_metrics_features_plots_and_bundle(
    trained: TrainingResult, settings: MlflowSettings
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings.tracking_uri)
    run = client.get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["data_fingerprint"] == trained.data_fingerprint
    assert run.data.params["head.trees"] == "20"
    assert run.data.metrics["model.ndcg_10"] == pytest.approx(trained.report.model.ndcg_10.value)
    assert run.data.metrics["chronological.ndcg_10"] < run.data.metrics["model.ndcg_10"]
    assert run.data.tags["gate"] == "passed"
    files = {
        entry.path
        for folder in (None, "plots", "bundle")
        for entry in client.list_artifacts(run.info.run_id, folder)
    }
    assert files >= {
        "features.json",
        "plots/reliability.png",
        "plots/ndcg.png",
        "plots/importance.png",
        "bundle/bundle.json",
        "bundle/head_liked.txt",
        "bundle/head_retweeted.txt",
        "bundle/light.txt",
    }


def test_a_model_that_the_gate_refuses_is_logged_but_the_champion_stays(
    trained: TrainingResult, settings: MlflowSettings, examples_frame: Make
) -> None:
    from mlflow import MlflowClient

    noise = examples_frame(seed=9)
    rng = np.random.default_rng(9)
    for column in LABELS.values():
        noise[column] = (rng.random(len(noise)) < 0.2).astype(np.float32)
    before = champion_version(settings)
    refused = train(settings, noise, PLAN)
    assert refused.version is None
    assert refused.refusal is not None
    assert refused.refusal.startswith("The model may not become champion: ")
    assert champion_version(settings) == before
    assert MlflowClient(settings.tracking_uri).get_run(refused.run_id).data.tags["gate"] == refused.refusal


def test_moving_the_alias_back_brings_the_older_version_back(
    trained: TrainingResult, settings: MlflowSettings, examples_frame: Make, tmp_path: Path
) -> None:
    first = champion_version(settings)
    second = train(settings, examples_frame(seed=1), PLAN, limits=LENIENT)
    assert download_champion(settings, tmp_path).version == second.version != trained.version
    with opened(settings) as versions:
        versions.point(settings.alias, first)
    assert download_champion(settings, tmp_path).version == f"tideline-ranker@{first}"


@pytest.mark.parametrize("change", [{"model_name": "nobody"}, {"alias": "nobody"}])
def test_a_registry_without_the_champion_says_so_in_one_sentence(
    trained: TrainingResult, settings: MlflowSettings, tmp_path: Path, change: dict[str, str]
) -> None:
    asked = settings.model_copy(update=change)
    with pytest.raises(RegistryError, match=f"has no {asked.model_name}@{asked.alias}"):
        download_champion(asked, tmp_path)


def test_a_registry_that_is_away_says_so_in_one_sentence(tmp_path: Path, examples_frame: Make) -> None:
    away = MlflowSettings(tracking_uri=f"http://127.0.0.1:{unused_port()}", retries=0)
    with pytest.raises(RegistryError, match=r"^The registry at http\S+ failed: .*") as read:
        download_champion(away, tmp_path)
    with pytest.raises(RegistryError, match=r"^The registry at http\S+ failed: .*") as written:
        train(away, examples_frame(), PLAN)
    assert "\n" not in str(read.value) + str(written.value)


def test_a_failed_upload_marks_the_run_failed_and_registers_nothing(
    trained: TrainingResult, settings: MlflowSettings, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    from training.tracking import RunRecord, log_run

    record = RunRecord("broken", {}, {}, {}, plots=[tmp_path / "absent.png"], texts={})
    with pytest.raises(OSError, match=r"absent\.png"):
        log_run(settings.model_copy(update={"experiment": "broken"}), tmp_path, record)
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name("broken")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
