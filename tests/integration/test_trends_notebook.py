"""The analysts' notebook runs on files as the `trends` job writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "trends.ipynb"
PLACES = ("world", "Rome", "Oslo")


@pytest.fixture
def trends(tmp_path: Path) -> Path:
    end = datetime(2026, 1, 5, 12, tzinfo=UTC)
    rows = [
        {
            "place": place,
            "window": window,
            "as_of": end - timedelta(hours=back),
            "term": f"#{place.lower()}{rank}",
            "rank": rank,
            "count": 100 - 10 * rank + back,
            "authors": 50 - rank,
            "expected": 10,
            "score": 90.0 - rank,
        }
        for place in PLACES
        for window in ("1h", "24h")
        for back in range(3)
        for rank in range(1, 4)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "part-0.parquet")
    return tmp_path


@pytest.mark.timeout(300)
def test_the_trends_notebook_runs_and_shows_terms_and_a_plot(
    trends: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDELINE_TRENDS", str(trends))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "54 rows, 3 places, 9 terms" in printed
    shown = [output["data"] for output in outputs if "data" in output]
    assert any("#world1" in data.get("text/plain", "") for data in shown)
    assert any("#oslo1" in data.get("text/plain", "") for data in shown)
    assert any("image/png" in data for data in shown)
