"""The notebooks on the lake, executed on a small world with a planted experiment: one kernel each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import trial_world
from nbclient import NotebookClient
from trial_world import TrialWorld

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Shown:
    """What an executed notebook shows."""

    printed: str
    tables: list[str]
    plots: int

    def row(self, *starts: str) -> list[str]:
        """The words after ``starts`` in the first line of a table that begins with them."""
        pattern = re.compile(r"\s+".join(map(re.escape, starts)) + r"\s+(.*)")
        lines = (line.strip() for table in self.tables for line in table.splitlines())
        return next(found.group(1).split() for line in lines if (found := pattern.match(line)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TrialWorld:
    return trial_world.make(tmp_path_factory.mktemp("trial"))


def execute(name: str, home: Path) -> Shown:
    """Run a notebook as in the folder ``home`` of a deployment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDELINE_LAKE__PATH", str(home / "lake"))
        patch.setenv("TIDELINE_SERVING__EXPERIMENT", str(home / "trial.toml"))
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(home)}}).execute()
    outputs: list[Any] = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output["data"] for output in outputs if "data" in output]
    return Shown(
        "".join(output.get("text", "") for output in outputs),
        [each.get("text/plain", "") for each in data],
        sum("image/png" in each for each in data),
    )


@pytest.fixture(scope="module")
def events(world: TrialWorld) -> Shown:
    return execute("01_events.ipynb", world.home)


@pytest.fixture(scope="module")
def readout(world: TrialWorld) -> Shown:
    return execute("05_experiment_readout.ipynb", world.home)


def test_the_events_are_counted_once_by_type_and_time(events: Shown, world: TrialWorld) -> None:
    count, kinds = re.findall(r"([\d,]+) events of (\d) types", events.printed)[0]
    assert (int(count.replace(",", "")), int(kinds)) == (world.events, 9)
    assert events.plots == 4


def test_delays_and_the_layout_of_the_lake_are_shown(events: Shown) -> None:
    assert re.search(
        r"like: ([\d,]+) of \1 follow a showing; 100.0% of these within the window", events.printed
    )
    ten, half, ninety, most = map(float, events.row("retweet"))
    assert 0 < ten < half < ninety < most < 72
    days, files, replaced = next(
        line.split()[1:4]
        for table in events.tables
        if "replaced" in table
        for line in table.splitlines()
        if line.startswith("impression")
    )
    assert (days, files, replaced) == ("3", "3", "2")
    assert events.row("alternative_features", "array of double") == ["False", "1.0"]


def test_the_readout_checks_the_split_before_anything_else(readout: Shown) -> None:
    assert re.search(r"as weighted \(p = 0\.\d+\)", readout.printed)
    assert "0 readers were served another arm than theirs" in readout.printed
    assert readout.plots == 4


def test_the_readout_finds_what_was_planted_and_nothing_else(readout: Shown) -> None:
    assert "new: better in liked, worse in nothing, guardrails breached: hidden, latency_p99_ms." in (
        readout.printed
    )


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
