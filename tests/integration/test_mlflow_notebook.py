"""The notebook that compares models, executed on a store with two versions and a refused run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from training.heads import HeadParameters
from training.settings import GateSettings, MlflowSettings
from training.train import TrainingPlan, train

pytestmark = pytest.mark.timeout(600)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "compare_models.ipynb"
PLAN = TrainingPlan(head=HeadParameters(trees=15, leaves=7), light=HeadParameters(trees=3, leaves=4))

# Models of other examples differ by chance.
LENIENT = GateSettings(ndcg_10_margin=0.2, mrr_margin=0.2, ap_margin=0.2, rce_margin=20)


@pytest.fixture
def store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples_frame: Callable[..., pd.DataFrame]
) -> MlflowSettings:
    """A store in ``tmp_path``, which is also the working folder and where a notebook's settings lead."""
    settings = MlflowSettings(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_MLFLOW__TRACKING_URI", settings.tracking_uri)
    for seed in (0, 1):
        assert train(settings, examples_frame(seed=seed), PLAN, limits=LENIENT).refusal is None
    noise = examples_frame(seed=2)
    for label, rate in (("label_liked", 0.2), ("label_retweeted", 0.1)):
        noise[label] = (np.random.default_rng(3).random(len(noise)) < rate).astype(np.float32)
    assert train(settings, noise, PLAN).refusal is not None
    return settings


def test_the_notebook_shows_runs_versions_and_plots(store: MlflowSettings, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = "\n".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert "The model may not become champion" in shown
    assert "champion, 2" in shown
    assert "other, 1" in shown
    assert "liked.authors_1.ap" in shown
    assert "difference.low" in shown
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
