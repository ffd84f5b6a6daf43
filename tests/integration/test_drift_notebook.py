"""The notebook on features and their drift, executed on files as the jobs leave them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

from features.names import MODEL_INPUT, VIEWS
from features.served_features import MATERIALIZED
from training.drift import DriftReport

pytestmark = pytest.mark.timeout(600)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_features_and_drift.ipynb"
END = datetime(2026, 1, 1, 6, 39, tzinfo=UTC)
MOVED = "author_engagement_rate"


@pytest.fixture(scope="module")
def outputs(
    examples_frame: Callable[..., pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    folder = tmp_path_factory.mktemp("drifting")
    _write_offline(folder / "offline", examples_frame())
    _write_report(folder / "quality")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TIDELINE_FEATURES__OFFLINE", str(folder / "offline"))
        patch.setenv("TIDELINE_FEATURES__QUALITY", str(folder / "quality"))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _write_offline(offline: Path, frame: pd.DataFrame) -> None:
    """Joined examples of which the first five were served with features, one of them scaled in the log."""
    frame.loc[frame["event_timestamp"] > pd.Timestamp("2026-01-01T06:00Z"), MOVED] *= 8
    logged = np.arange(len(frame)) < 5
    for view in VIEWS:
        (offline / view.name).mkdir(parents=True)
        stamps = pd.Series(pd.to_datetime([END - pd.Timedelta(hours=2)], utc=True)).astype(
            "datetime64[us, UTC]"
        )
        rows = pd.DataFrame({"event_timestamp": stamps})
        rows.to_parquet(offline / view.name / "part-0.parquet")
    vectors = frame.loc[logged, list(MODEL_INPUT)].astype(float).to_dict("records")
    served = pa.table(
        {
            "event_timestamp": pa.array(frame.loc[logged, "event_timestamp"]),
            "logged": [vector | {"tweet_likes": vector["tweet_likes"] * 2} for vector in vectors],
            "offline": vectors,
            **dict.fromkeys(MATERIALIZED, vectors),
            **{f"{side}_at": pa.array(frame.loc[logged, "event_timestamp"]) for side in MATERIALIZED},
        }
    )
    for name, table in (
        ("training_examples", pa.table({})),
        ("training_frame", pa.Table.from_pandas(frame.assign(logged=logged), preserve_index=False)),
        ("served_features", served),
    ):
        (offline / name).mkdir()
        pq.write_table(table, offline / name / "part-0.parquet")
        (offline / name / "_SUCCESS").touch()


def _write_report(quality: Path) -> None:
    quality.mkdir()
    report = DriftReport(
        "ranker@3", END.isoformat(), 24.0, 5000, 0, {MOVED: 0.31}, 0.05, {}, {"engaged": 0.1}, {}
    )
    (quality / "drift.json").write_text(report.text())


def printed(outputs: list[Any]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def test_it_tells_what_the_examples_are_and_plots_them(outputs: list[Any]) -> None:
    assert "8,000 examples until 2026-01-01 06:39 UTC, 0% with the features" in printed(outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4


def test_it_names_the_feature_that_moved_first(outputs: list[Any]) -> None:
    (table,) = [
        output["data"]["text/plain"]
        for output in outputs
        if "stability index" in output.get("data", {}).get("text/plain", "")
    ]
    first = table.splitlines()[1].split()
    assert first[0] == MOVED
    assert float(first[1]) > 0.25


def test_it_shows_what_was_served_otherwise(outputs: list[Any]) -> None:
    (table,) = [
        output["data"]["text/plain"]
        for output in outputs
        if "largest difference" in output.get("data", {}).get("text/plain", "")
    ]
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line.split()}
    assert rows["tweet_likes"][1:3] == ["0.0", "5"]
    assert rows["user_tweets"][1:3] == ["1.0", "0"]


def test_it_tells_what_the_drift_watch_found(outputs: list[Any]) -> None:
    assert "ranker@3 at 2026-01-01T06:39:00+00:00, 5,000 rows" in printed(outputs)
    assert f"{MOVED} has moved by 0.31, above 0.25" in printed(outputs)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
