"""The analysts' notebook answers its questions on files as the jobs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_trends.ipynb"


@pytest.fixture(scope="module")
def outputs(trends_week: Any) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDELINE_LAKE__PATH", str(trends_week.home / "lake"))
        patch.delenv("TIDELINE_TRENDS", raising=False)
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(outputs: list[Any]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def shown(outputs: list[Any]) -> list[str]:
    return [output["data"].get("text/plain", "") for output in outputs if "data" in output]


@pytest.mark.timeout(300)
def test_it_tells_what_is_rising(outputs: list[Any]) -> None:
    assert "2,304 rows, 3 places, 4 terms" in printed(outputs)
    assert any("#storm" in text and "2.5" in text for text in shown(outputs))


@pytest.mark.timeout(300)
def test_it_tells_where_it_started_and_when_it_came_elsewhere(outputs: list[Any]) -> None:
    (started,) = [text for text in shown(outputs) if "minutes after the first" in text]
    lines = [line.split() for line in started.splitlines() if "#storm" in line]
    assert [(line[2], line[-1]) for line in lines] == [("Oslo", "0.0"), ("Rome", "60.0")]


@pytest.mark.timeout(300)
def test_it_compares_with_a_week_before(outputs: list[Any]) -> None:
    assert "2026-01-12 12:00 against 2026-01-05 12:00" in printed(outputs)
    (compared,) = [text for text in shown(outputs) if "authors before" in text]
    (storm,) = [line.split() for line in compared.splitlines() if line.startswith("#storm")]
    assert [float(figure) for figure in storm[1:]] == [1, 40, 1, 5, 35]


@pytest.mark.timeout(300)
def test_it_tells_whose_tweets_carried_it(outputs: list[Any]) -> None:
    assert "#storm: 30 tweets by 6 people; 100% by the ten who wrote most" in printed(outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
