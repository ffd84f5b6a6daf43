"""The DAGs only call commands that exist. Airflow itself lives in an environment of its own."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from stack.cli import app

DAGS = sorted((Path(__file__).parents[3] / "airflow_dags").glob("*.py"))


def bash_commands(path: Path) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    keywords = (keyword for call in calls for keyword in call.keywords if keyword.arg == "bash_command")
    return [keyword.value.value for keyword in keywords if isinstance(keyword.value, ast.Constant)]


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_is_short_and_calls_only_commands_of_tideline(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60
    commands = bash_commands(path)
    assert commands
    for line in commands:
        words = shlex.split(line)
        assert words[0] == "tideline"
        command = get_command(app)
        for word in words[1:]:
            if word.startswith("-") or not hasattr(command, "commands"):
                break
            assert word in command.commands, f"{line}: no such command: {word}"
            command = command.commands[word]


def test_there_is_a_dag_for_every_schedule_the_platform_needs() -> None:
    assert {path.stem for path in DAGS} == {
        "daily_compaction",
        "daily_drift",
        "daily_training",
        "daily_trends",
        "hourly_features",
        "hourly_warming",
    }
