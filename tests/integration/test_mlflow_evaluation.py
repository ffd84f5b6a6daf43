"""An evaluation in a real MLflow: what it leaves there, and a server that is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from list_folders import write_news
from mlflow import MlflowClient
from typer.testing import CliRunner

from stack.cli import app
from training.list_evaluation import ListEvaluation, evaluate
from training.list_model import ListParameters, ListPlan
from training.list_record import track
from training.settings import MlflowSettings

SMALL = ListParameters(trees=10, leaves=5, learning_rate=0.1, smallest_leaf=20)
PLAN = ListPlan(head=SMALL, order=SMALL, light=SMALL)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return write_news(tmp_path / "a"), write_news(tmp_path / "b", first_list=1000)


@pytest.fixture
def evaluated(folders: tuple[Path, Path]) -> ListEvaluation:
    return evaluate("news_impressions", *folders, plan=PLAN)


def test_a_run_of_the_datasets_experiment_has_figures_plots_and_each_order(
    evaluated: ListEvaluation, mlflow_server: str, tmp_path: Path
) -> None:
    settings = MlflowSettings(tracking_uri=mlflow_server, timeout_seconds=30)
    run_id = track(settings, evaluated, tmp_path / "plots")
    client = MlflowClient(mlflow_server)
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "evaluate-news_impressions"
    assert run.info.status == "FINISHED"
    assert run.data.params["head.trees"] == "10"
    assert run.data.params["data_fingerprint"] == evaluated.data_fingerprint
    assert run.inputs.dataset_inputs[0].dataset.name == "news_impressions"
    figures = evaluated.champion.flat()
    for name in ("mrr", "mrr_low", "mrr_high", "ndcg_at_10", "auc", "ap", "rce", "rce_high"):
        assert run.data.metrics[name] == figures[name]
    assert {item.path.rpartition("/")[2] for item in client.list_artifacts(run_id, "plots")} == {
        f"{name}.png" for name in ("reliability", "gains", "importance", "shap", "ndcg", "slices")
    }
    (told,) = [item.path for item in client.list_artifacts(run_id) if not item.is_dir]
    summary = json.loads(Path(client.download_artifacts(run_id, told, str(tmp_path))).read_text())
    assert summary == json.loads(json.dumps(evaluated.summary()))
    nested = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    by_order = {child.data.tags["order"]: child.data.metrics["ndcg_at_10"] for child in nested}
    expected = {name: order.ndcg_at_10.value for name, order in evaluated.baselines.items()}
    assert by_order == {**expected, "champion": figures["ndcg_at_10"]}


def test_a_server_killed_meanwhile_costs_one_sentence_and_no_figure(
    startable_mlflow: tuple[str, Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]],
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import training.list_evaluation

    address, running = startable_mlflow
    monkeypatch.setattr(training.list_evaluation, "ListPlan", lambda: PLAN)
    monkeypatch.setenv("TIDELINE_MLFLOW__TRACKING_URI", address)
    monkeypatch.setenv("TIDELINE_MLFLOW__RETRIES", "0")
    train, test = (str(folder) for folder in folders)
    arguments = ["evaluate", "--dataset", "news_impressions", "--train", train, "--test", test, "--json"]
    with running() as server:
        upload = MlflowClient.log_artifact

        def killed_at_the_gains(client: MlflowClient, run_id: str, path: str, *where: Any) -> None:
            if path.endswith("gains.png"):
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
            upload(client, run_id, path, *where)

        monkeypatch.setattr(MlflowClient, "log_artifact", killed_at_the_gains)
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert json.loads(result.stdout.splitlines()[-1])["champion"]["mrr"] > 0
    (warning,) = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert warning == (
        "Warning: this evaluation is not, or not wholly, logged: "
        f"The registry at {address} failed: it does not answer."
    )
