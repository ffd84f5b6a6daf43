"""``tideline tune`` on a real MLflow server: runs below a run, interruptions, what training makes of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result
from joined_examples import write_joined
from mlflow import MlflowClient
from mlflow.entities import Run
from typer.testing import CliRunner

from stack.cli import app
from training.registry import RegistryError
from training.settings import MlflowSettings
from training.tracking import MLFLOW_PARENT_RUN_ID
from training.train import TrainingPlan
from training.tuning import parameters, report, runs, study
from training.tuning.parameters import Range
from training.tuning.study import OBJECTIVE

# The server imports for long on a busy machine.
pytestmark = pytest.mark.timeout(600)

SMALL: Mapping[str, Range] = {"trees": Range(40, 200), "leaves": Range(4, 31, log=True)}

Make = Callable[..., pd.DataFrame]
Tideline = Callable[..., Result]
_names = (f"tuned-{number}" for number in itertools.count())


@pytest.fixture
def settings(mlflow_server: str) -> MlflowSettings:
    """Of a registered model and an experiment of the test's own."""
    name = next(_names)
    return MlflowSettings(tracking_uri=mlflow_server, timeout_seconds=30, model_name=name, experiment=name)


@pytest.fixture
def tideline(
    settings: MlflowSettings, examples_frame: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tideline:
    """Runs a command where the examples are joined already; a study searches few and small parameters."""
    offline = tmp_path / "offline"
    write_joined(offline, examples_frame())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_FEATURES__OFFLINE", str(offline))
    monkeypatch.setenv("TIDELINE_TUNING__FOLDER", str(tmp_path / "tuning"))
    for key in ("tracking_uri", "model_name", "experiment", "timeout_seconds"):
        monkeypatch.setenv(f"TIDELINE_MLFLOW__{key.upper()}", str(getattr(settings, key)))
    for module in (study, parameters, report):
        monkeypatch.setattr(module, "SPACE", SMALL)
    return lambda *words: CliRunner().invoke(app, words)


def all_runs(settings: MlflowSettings) -> list[Run]:
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name(settings.experiment)
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def parent_and_trials(settings: MlflowSettings) -> tuple[Run, list[Run]]:
    found = all_runs(settings)
    (parent,) = (run for run in found if MLFLOW_PARENT_RUN_ID not in run.data.tags)
    return parent, [run for run in found if run is not parent]


def test_a_study_is_a_run_with_one_below_it_for_each_trial(
    tideline: Tideline, settings: MlflowSettings, tmp_path: Path
) -> None:
    answer = tideline("tune", "--trials", "3", "--study", "nightly")
    assert answer.exit_code == 0, answer.output
    assert "tideline train --parameters nightly" in answer.output
    assert "0, default" in answer.output
    found = json.loads((tmp_path / "tuning" / "nightly.json").read_text())
    parent, trials = parent_and_trials(settings)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics[OBJECTIVE] == pytest.approx(found["value"])
    assert parent.data.params["data_fingerprint"] == found["data_fingerprint"]
    assert [run.info.run_name for run in trials] == ["trial 0", "trial 1", "trial 2"]
    assert {run.data.tags[MLFLOW_PARENT_RUN_ID] for run in trials} == {parent.info.run_id}
    assert {run.info.status for run in trials} == {"FINISHED"}
    best = max(trials, key=lambda run: run.data.metrics[OBJECTIVE])
    assert {key: float(value) for key, value in best.data.params.items()} == found["head"]
    assert all(run.data.metrics["liked.rce"] for run in trials)
    files = MlflowClient(settings.tracking_uri).list_artifacts(parent.info.run_id, "plots")
    assert [file.path for file in files] == ["plots/history.png"]


def test_training_uses_what_was_found_where_it_is_told_to(
    tideline: Tideline, settings: MlflowSettings, tmp_path: Path
) -> None:
    assert tideline("tune", "--trials", "2", "--study", "nightly").exit_code == 0
    (tmp_path / "by_hand.json").write_text('{"study": "by hand", "head": {"trees": 41}}')
    for words, trees, named in (
        ((), str(TrainingPlan().head.trees), "default"),
        (("--parameters", "nightly"), None, "nightly"),
        (("--parameters", "by_hand.json"), "41", "by hand"),
    ):
        answer = tideline("train", "--no-promote", "--json", *words)
        assert answer.exit_code == 0, answer.output
        run = MlflowClient(settings.tracking_uri).get_run(json.loads(answer.stdout)["run_id"])
        assert run.data.params["parameters"] == named
        if trees is None:
            tuned = json.loads((tmp_path / "tuning" / "nightly.json").read_text())
            trees = str(tuned["head"]["trees"])
        assert run.data.params["head.trees"] == trees
    refused = tideline("train", "--parameters", "nobody")
    assert "nobody is neither a file nor a study" in str(refused.exception)


def test_a_registry_away_after_a_trial_stops_the_study_and_a_second_try_logs_what_was_done(
    tideline: Tideline, settings: MlflowSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = runs.logged

    def away(client: Any, experiment: str, record: Any, parent: str | None = None) -> Any:
        if record.name == "trial 1":
            raise RegistryError("The registry failed.")
        return logged(client, experiment, record, parent)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "logged", away)
        assert str(tideline("tune", "--trials", "3").exception) == "The registry failed."
    parent, trials = parent_and_trials(settings)
    assert parent.info.status == "FAILED"
    assert [run.info.run_name for run in trials] == ["trial 0"]
    assert tideline("tune", "--trials", "3").exit_code == 0
    again, trials = parent_and_trials(settings)
    assert again.info.run_id == parent.info.run_id
    assert again.info.status == "FINISHED"
    assert [run.info.run_name for run in trials] == ["trial 0", "trial 1", "trial 2"]


def test_a_run_that_an_interruption_left_half_written_is_written_again(
    tideline: Tideline, settings: MlflowSettings
) -> None:
    assert tideline("tune", "--trials", "1").exit_code == 0
    _, trials = parent_and_trials(settings)
    client = MlflowClient(settings.tracking_uri)
    client.update_run(trials[0].info.run_id, "RUNNING")
    spent = tideline("tune", "--trials", "1", "--json")
    assert json.loads(spent.stdout)["trials"] == 1
    _, again = parent_and_trials(settings)
    assert [run.info.run_name for run in again] == ["trial 0"]
    assert again[0].info.run_id != trials[0].info.run_id
    assert again[0].info.status == "FINISHED"


def test_what_cannot_be_a_study_is_one_sentence(tideline: Tideline) -> None:
    assert "has letters, digits, - and _ only" in str(tideline("tune", "--study", "../x").exception)
