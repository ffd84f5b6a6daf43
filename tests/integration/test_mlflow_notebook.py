"""The notebook that compares models, executed on a store with two versions and a refused run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from joined_examples import write_joined
from model_shelf import STUMPS
from nbclient import NotebookClient

from training.heads import HeadParameters
from training.settings import MlflowSettings
from training.train import TrainingPlan, train

pytestmark = pytest.mark.timeout(600)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_comparing_models.ipynb"
PLAN = TrainingPlan(head=HeadParameters(trees=15, leaves=7), light=HeadParameters(trees=3, leaves=4))


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples_frame: Callable[..., pd.DataFrame]
) -> Path:
    """The working folder, with a store and joined examples where a notebook's settings lead."""
    settings = MlflowSettings(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    offline = tmp_path / "offline"
    frame = examples_frame()
    write_joined(offline, frame)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_MLFLOW__TRACKING_URI", settings.tracking_uri)
    monkeypatch.setenv("TIDELINE_FEATURES__OFFLINE", str(offline))
    assert train(settings, frame, PLAN).refusal is None
    assert train(settings, frame, STUMPS, promote=False).challenger
    noise = frame.copy()
    for label in [name for name in frame.columns if name.startswith("label_")]:
        noise[label] = np.random.default_rng(3).permutation(frame[label])
    assert train(settings, noise, PLAN).refusal is not None
    return tmp_path


def test_the_notebook_puts_the_newest_version_beside_the_champion(folder: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = "\n".join(
        output.get("data", {}).get("text/html", "") + output.get("text", "") for output in outputs
    )
    assert "The model may not become champion" in shown
    assert "champion, 1" in shown
    assert "other, 2" in shown
    assert ", authors, fifth " in shown
    assert "adds in 2" in shown
    assert "pair_engagement_rate" in shown
    assert "Spearman" in shown
    assert "ms a page" in shown
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 5


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
