"""Every DAG run by Airflow on a real stack with a tiny world, as on a first day; then a planted fault."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN = ROOT / ".venv" / "bin"
SERVERS = ("kafka", "valkey", "postgres", "flink", "mlflow")
PORTS = ("KAFKA", "VALKEY", "POSTGRES", "FLINK", "MLFLOW", "API")
SETTINGS = {
    **{f"TIDELINE_STACK__PORTS__{name}": "0" for name in PORTS},
    "TIDELINE_STACK__SLOTS": "2",
    "TIDELINE_STACK__TASKMANAGER_MB": "2200",
    "TIDELINE_FLINK__CHECKPOINT_MS": "1000",
    "TIDELINE_FEATURES__SPARK_MEMORY": "1g",
    "TIDELINE_FEATURES__SHUFFLE_PARTITIONS": "2",
    # Its people answer within minutes: the last of four days is learned from, too.
    "TIDELINE_FEATURES__ATTRIBUTION_HOURS": "1",
    # So few readers tell a model's calibration and cost only roughly.
    "TIDELINE_GATE__CALIBRATION_ERROR": "1",
    "TIDELINE_GATE__SCORING_RATIO": "100",
}

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Stack:
    """A running stack; Airflow's tasks find it by the environment."""

    home: Path

    def tideline(self, *arguments: str, code: int = 0) -> str:
        return run(str(MAIN / "tideline"), *arguments, code=code)

    def main_environment(self, *words: str) -> str:
        return run(str(MAIN / "python"), str(Path(__file__).with_name("in_main_environment.py")), *words)

    def days_before_today(self, event: str) -> list[Path]:
        today = f"day={datetime.now(UTC).date()}"
        return [day for day in sorted((self.home / "lake" / event).glob("day=*")) if day.name < today]


def run(*command: str, code: int = 0) -> str:
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == code, f"{command}:\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A world of 150 people and four days, ended now, in the lake by way of Kafka and Flink."""
    home = Path(tempfile.mkdtemp(prefix="tideline-dags-"))
    path = os.pathsep.join((str(MAIN), os.environ["PATH"]))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SETTINGS, "TIDELINE_HOME": str(home), "PATH": path}.items():
            patch.setenv(name, value)
        stack = Stack(home)
        try:
            stack.tideline("up", *(word for server in SERVERS for word in ("--only", server)))
            stack.tideline("jobs", "submit", "archive", "timelines")
            # They read often: from a few hundred lists a model's lead could not be told from luck.
            sessions = ("--sessions-per-day", "2.5")
            stack.tideline("world", "--users", "150", *sessions, "--out", str(home / "world"))
            replayed = json.loads(stack.tideline("replay", "--dir", str(home / "world"), "--json"))
            stack.main_environment("await_archive", str(replayed["events"]))
            yield stack
        finally:
            stack.tideline("down")
            shutil.rmtree(home, ignore_errors=True)


def states(dag_id: str) -> dict[str, str]:
    """The state of every task once Airflow has run the DAG; a task that fails is not tried again."""
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(dag_folder=str(ROOT / "airflow_dags")).dags[dag_id]
    for task in dag.tasks:
        task.retries = 0
    return {task.task_id: str(task.state) for task in dag.test().get_task_instances()}


def test_compaction_leaves_one_file_of_each_finished_day_to_be_read(stack: Stack) -> None:
    stack.main_environment("redeliver")
    parts = [len(list(day.glob("part-*"))) for day in stack.days_before_today("impression")]
    assert max(parts) > 1
    assert states("daily_compaction") == {"compact_lake": "success"}
    days = stack.days_before_today("impression")
    assert [len(list(day.glob("whole-*"))) for day in days] == [int(count > 1) for count in parts]


def test_trends_of_yesterday_are_one_file(stack: Stack) -> None:
    assert states("daily_trends") == {"rebuild_trends": "success", "compact_trends": "success"}
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    (file,) = (stack.home / "trends").glob(f"**/day={yesterday}/*.parquet")
    assert file.name == "whole.parquet"


def test_features_go_from_the_lake_to_the_online_store(stack: Stack) -> None:
    assert set(states("hourly_features").values()) == {"success"}
    assert (stack.home / "offline" / "training_frame" / "_SUCCESS").is_file()
    # Views that Flink writes are not there, of which the doctor complains.
    found = json.loads(stack.tideline("features", "doctor", "--json", code=1))
    counts = found["user_activity"]["features"].values()
    assert all(count["compared"] == count["equal"] > 0 for count in counts)


def test_warming_finds_its_readers(stack: Stack) -> None:
    assert states("hourly_warming") == {"warm_timelines": "success"}


def test_before_the_first_champion_the_watch_of_drift_is_no_failure(stack: Stack) -> None:
    assert states("daily_drift") == {"watch_drift": "success"}
    assert not (stack.home / "quality" / "drift.json").exists()


def test_a_trained_model_passes_the_gate_and_becomes_champion(stack: Stack) -> None:
    assert states("daily_training") == {"train_ranker": "success", "promote_ranker": "success"}
    assert "champion" in stack.tideline("models", "list")


def test_examples_that_do_not_meet_their_expectations_stop_the_run_before_anything_goes_online(
    stack: Stack,
) -> None:
    examples = stack.home / "offline" / "training_examples" / "_SUCCESS"
    before = examples.stat()
    planted = Path(stack.main_environment("plant").strip())
    assert states("hourly_features") == {
        "build_features": "failed",
        "apply_feature_views": "upstream_failed",
        "materialize_features": "upstream_failed",
    }
    assert examples.stat().st_mtime_ns == before.st_mtime_ns
    planted.unlink()
