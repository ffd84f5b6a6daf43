"""``tideline drift`` on the champion of a real MLflow server, and what a training run keeps for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from click.testing import Result
from model_shelf import PLAN
from typer.testing import CliRunner

from features.label_window import LabelWindow, write_label_window
from features.labels import LABELS
from features.names import VIEWS
from stack.cli import app
from stack.errors import UserError
from stack.moments import utc_ms
from timelines.durations import HOUR_MS
from training.settings import MlflowSettings
from training.train import train
from training.versions import opened

# The server imports for long on a busy machine.
pytestmark = pytest.mark.timeout(600)

END = "2026-01-01T06:40:00"
Make = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def settings(
    mlflow_server: str, examples_frame: Make, tmp_path_factory: pytest.TempPathFactory
) -> MlflowSettings:
    """Of a model that was trained with its data docs beside it, and promoted."""
    docs = tmp_path_factory.mktemp("quality") / "data_docs"
    docs.mkdir()
    (docs / "index.html").write_text("what was expected")
    settings = MlflowSettings(tracking_uri=mlflow_server, timeout_seconds=30, model_name="watched")
    assert train(settings, examples_frame(), PLAN, evidence=[docs]).version == "watched@1"
    return settings


@pytest.fixture
def drift(
    settings: MlflowSettings, examples_frame: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs the command on examples like those of the model, of which ``scaled`` are eight times as large."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_FEATURES__OFFLINE", str(tmp_path / "offline"))
    monkeypatch.setenv("TIDELINE_FEATURES__QUALITY", str(tmp_path / "quality"))
    monkeypatch.setenv("TIDELINE_MLFLOW__TRACKING_URI", settings.tracking_uri)
    monkeypatch.setenv("TIDELINE_MLFLOW__MODEL_NAME", settings.model_name)

    def run(*words: str, scaled: str | None = None) -> Result:
        frame = examples_frame(seed=3).assign(logged=False)
        if scaled is not None:
            frame[scaled] *= 8
        rows = {view.name: pd.DataFrame({"event_timestamp": [pd.Timestamp(END, tz="UTC")]}) for view in VIEWS}
        for name, table in {"training_examples": frame[:0], "training_frame": frame, **rows}.items():
            (tmp_path / "offline" / name).mkdir(parents=True, exist_ok=True)
            table.to_parquet(tmp_path / "offline" / name / "part-0.parquet")
            (tmp_path / "offline" / name / "_SUCCESS").touch()
        end = LabelWindow(utc_ms(datetime.fromisoformat(END)), HOUR_MS)
        write_label_window(tmp_path / "offline", end)
        return CliRunner().invoke(app, ["drift", "--at", END, *words])

    return run


def test_more_of_the_same_passes_and_leaves_a_report_and_gauges(
    drift: Callable[..., Result], tmp_path: Path
) -> None:
    done = drift("--json", "--metrics", str(tmp_path / "tideline.prom"))
    assert done.exit_code == 0, done.output
    found = msgspec.json.decode(done.stdout.splitlines()[-1])
    assert (found["model"], found["rows"], found["failures"]) == ("watched@1", 8000, [])
    # The hour of the newest ones, in which labels may yet come, is the build's; the settings' is a day.
    assert found["labelled"] == 6800
    assert set(found["ages"]) == {view.name for view in VIEWS}
    assert (
        msgspec.json.decode((tmp_path / "quality" / "drift.json").read_bytes())["features"]
        == found["features"]
    )
    assert "tideline_drift_rows 8000.0" in (tmp_path / "tideline.prom").read_text()


def test_before_there_is_a_champion_there_is_nothing_to_compare(
    drift: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDELINE_MLFLOW__MODEL_NAME", "never-trained")
    done = drift()
    assert (done.exit_code, done.stdout) == (
        0,
        "never-trained has no champion yet: there is nothing to compare.\n",
    )
    assert not (tmp_path / "quality").exists()
    monkeypatch.setenv("TIDELINE_MLFLOW__MODEL_NAME", "watched")
    monkeypatch.setenv("TIDELINE_MLFLOW__ALIAS", "nobody")
    done = drift("--json")
    assert done.exit_code == 0
    assert msgspec.json.decode(done.stdout) == {
        "skipped": "watched has no nobody yet: there is nothing to compare."
    }


def test_a_feature_that_moved_fails_by_its_name(drift: Callable[..., Result]) -> None:
    failed = drift(scaled="author_engagement_rate")
    assert "author_engagement_rate" in failed.stdout
    assert isinstance(failed.exception, UserError)
    assert str(failed.exception).startswith(
        "watched@1 meets other data than it was made on: author_engagement_rate has moved by "
    )


def test_the_run_keeps_the_data_docs_and_the_reference(settings: MlflowSettings) -> None:
    with opened(settings) as versions:
        assert versions.read_text("1", "data_docs/index.html") == "what was expected"
        reference = msgspec.json.decode(versions.read_text("1", "drift_reference.json"))
    assert reference["rows"] == 5200
    assert set(reference["rates"]) == set(LABELS)
