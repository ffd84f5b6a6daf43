"""The command line: sentences for people, and quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stack.addresses import Choices
from stack.errors import UserError, is_user_error
from stack.lifecycle import make_plan, selected
from stack.settings import StackSection, StackSettings

HEAVY = ("pyspark", "pyflink", "feast", "mlflow", "lightgbm", "pandas", "fastapi", "great_expectations")


def run(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "stack.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TIDELINE_HOME": str(tmp_path / "home"), **environ},
        check=False,
    )


def test_a_failure_is_one_sentence_without_a_traceback(tmp_path: Path) -> None:
    outcome = run(tmp_path, "jobs", "list")
    assert outcome.returncode == 1
    assert outcome.stderr.strip() == "The stack is not running: start it with `tideline up`."


def test_an_unknown_server_is_refused(tmp_path: Path) -> None:
    outcome = run(tmp_path, "up", "--only", "mysql")
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("There is no server 'mysql'")
    assert not (tmp_path / "home").exists()


def test_too_little_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    outcome = run(tmp_path, "up", TIDELINE_STACK__DISK_GB="1000000")
    assert outcome.returncode == 1
    assert "GiB of disk left" in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_an_unknown_log_lists_those_there_are(tmp_path: Path) -> None:
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    (logs / "kafka.log").write_text("started\n")
    outcome = run(tmp_path, "logs", "nothing")
    assert outcome.returncode == 1
    assert outcome.stderr.strip() == "There is no log of 'nothing'; there are: kafka."
    assert run(tmp_path, "logs", "kafka").stdout == "started\n"


def test_going_down_when_nothing_runs_is_no_error(tmp_path: Path) -> None:
    outcome = run(tmp_path, "down")
    assert outcome.returncode == 0
    assert outcome.stdout.strip() == "The stack was not running."


def test_status_of_nothing_is_not_ready(tmp_path: Path) -> None:
    outcome = run(tmp_path, "status", "--json")
    assert outcome.returncode == 1
    assert '"ready": false' in outcome.stdout


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, stack.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"


def test_servers_are_chosen_by_name() -> None:
    assert selected((), ("api", "mlflow")) == ("kafka", "valkey", "postgres", "flink", "relay")
    assert selected(("valkey",), ()) == ("valkey",)
    with pytest.raises(UserError, match="no server 'redis'"):
        selected((), ("redis",))


def test_a_plan_names_a_usual_port_for_servers_it_does_not_start(tmp_path: Path) -> None:
    settings = StackSettings(home=tmp_path, stack=StackSection(disk_gb=0))
    plan = make_plan(settings, ("valkey",), lambda line: None)
    assert plan.ports["kafka"] == 9092
    assert "flink_rpc" not in plan.ports


def test_errors_of_other_packages_are_known_by_name() -> None:
    from stack.errors import KNOWN

    class LogUnavailableError(RuntimeError):
        pass

    LogUnavailableError.__module__ = "ingestion.publisher"
    LogUnavailableError.__qualname__ = "LogUnavailableError"
    assert "ingestion.publisher.LogUnavailableError" in KNOWN
    assert is_user_error(LogUnavailableError("no log"))
    assert not is_user_error(ValueError("a programming error"))


def test_choices_left_alone_are_the_defaults() -> None:
    assert Choices() == Choices("", False, 1000)
