"""A build that dies between the examples and their join is made up for by the next one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result
from random_lake import START, random_events
from typer.testing import CliRunner

from features.day_partitions import day_name
from features.examples import TRAINING_FRAME, outdate
from features.settings import FeatureStoreSettings
from ingestion.lake_files import write_lake
from stack.cli import app
from timelines.durations import DAY_MS

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]


@pytest.fixture
def lake(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("offline", "quality"):
        monkeypatch.setenv(f"TIDELINE_FEATURES__{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("TIDELINE_FEATURES__REGISTRY", str(tmp_path / "registry.db"))
    monkeypatch.setenv("TIDELINE_LAKE__PATH", str(tmp_path / "lake"))
    return tmp_path / "lake"


def build(days: int) -> Result:
    until = datetime.fromtimestamp((START + days * DAY_MS) / 1000, tz=UTC)
    return CliRunner().invoke(app, ["features", "build", "--until", until.strftime("%Y-%m-%dT%H:%M:%S")])


def frame() -> pd.DataFrame:
    from features.historical import training_frame

    found = training_frame(FeatureStoreSettings())
    return found.sort_values(["event_timestamp", "request_id", "position"]).reset_index(drop=True)


def test_days_whose_join_died_are_joined_by_the_next_build(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from features import historical
    from features.store import offline_folder

    def dies(*arguments: Any) -> Any:
        raise RuntimeError("no memory left")

    events = random_events(7)
    late = [event for event in events if event.ts < START + DAY_MS][::3]
    write_lake(lake, [event for event in events if event not in late])
    assert build(1).exit_code == 0
    before = frame()
    write_lake(lake, late, part="part-1")
    with monkeypatch.context() as patch:
        patch.setattr(historical, "_joined", dies)
        assert isinstance(build(2).exception, RuntimeError)
    assert build(3).exit_code == 0
    found = frame()
    assert found["event_timestamp"].dt.date.nunique() == 3
    historical.join_examples(FeatureStoreSettings(), since_ms=0)
    pd.testing.assert_frame_equal(found, frame())
    first = found[found["event_timestamp"] < pd.Timestamp(day_name(START + DAY_MS), tz="UTC")]
    assert len(first) != len(before)
    # Nothing is new, and what is left unjoined is joined all the same.
    outdate(offline_folder(FeatureStoreSettings()), START + 2 * DAY_MS)
    done = build(3)
    assert "Everything is built." in done.stdout
    assert TRAINING_FRAME in done.stdout
    pd.testing.assert_frame_equal(found, frame())
    assert TRAINING_FRAME not in build(3).stdout
