"""A training run against a real MLflow server: logged, registered, found again through the alias."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_shelf import SERVED

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
        "feast_features.json",
        "model_card.md",
        "plots/reliability.png",
        "plots/ndcg.png",
        "bundle/bundle.json",
        "bundle/head_liked.txt",
        "bundle/head_retweeted.txt",
        "bundle/light.txt",
    }


def test_the_run_names_its_examples_by_fingerprint(trained: TrainingResult, settings: MlflowSettings) -> None:
    from mlflow import MlflowClient

    (data,) = MlflowClient(settings.tracking_uri).get_run(trained.run_id).inputs.dataset_inputs
    assert data.dataset.digest == trained.data_fingerprint[:32]
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "training")]


def test_each_head_has_a_run_of_its_own_below_the_training_run(
    trained: TrainingResult, settings: MlflowSettings
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_run(trained.run_id).info.experiment_id
    below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{trained.run_id}'")
    assert {run.data.tags["head"] for run in below} == set(trained.report.heads)
    for run in below:
        report = trained.report.heads[run.data.tags["head"]]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["ap"] == pytest.approx(report.ap.value)
        assert run.data.params["trees"] == "20"
        plots = {Path(file.path).stem for file in client.list_artifacts(run.info.run_id, "plots")}
        assert plots == {"reliability", "gains", "importance", "shap", "slices"}


def test_the_version_is_described_by_its_card(trained: TrainingResult, settings: MlflowSettings) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(settings.tracking_uri)
    version = client.get_model_version_by_alias(settings.model_name, "champion")
    assert version.description.startswith(f"# {settings.model_name}\n")
    assert "`tideline models rollback`" in version.description


def test_feast_resolves_the_version_to_its_feature_service_and_refuses_one_of_other_features(
    trained: TrainingResult, settings: MlflowSettings, tmp_path: Path
) -> None:
    from feast import FeatureService

    from features.names import FEATURE_SERVICE, VIEWS
    from features.settings import FeatureSettings, FeatureStoreSettings
    from features.store import apply_repo, open_store
    from training.feast_link import resolved_service

    own = FeatureStoreSettings(
        features=FeatureSettings(registry=tmp_path / "registry.db", offline=tmp_path / "offline")
    )
    version = champion_version(settings)
    with pytest.raises(RegistryError, match=f"^Feast: Feature service '{FEATURE_SERVICE}' not found"):
        resolved_service(own, settings, version)
    store = open_store(own)
    apply_repo(store, own)
    assert resolved_service(own, settings, version) == FEATURE_SERVICE
    fewer = [store.get_feature_view(view.name) for view in VIEWS[1:]]
    store.apply(FeatureService(name=FEATURE_SERVICE, features=fewer))
    with pytest.raises(RegistryError, match=rf"Feature mismatch for service .*{VIEWS[0].name}:"):
        resolved_service(own, settings, version)


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
    second = train(settings, examples_frame(seed=1), PLAN, checks=[SERVED], limits=LENIENT)
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
