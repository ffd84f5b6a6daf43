"""PostgreSQL under the supervisor: up with its tables, killed and back with its rows, down cleanly."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from records.connections import connect
from records.settings import RecordsSettings
from stack.settings import DEFAULT_PORTS

pytestmark = [pytest.mark.stack, pytest.mark.postgres]


class Stack:
    """The command line of a stack with a home of its own and any free ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {f"TIDELINE_STACK__PORTS__{name.upper()}": "0" for name in DEFAULT_PORTS}
        self.env = {**os.environ, "TIDELINE_HOME": str(home), **ports}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stack.cli", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def server(self) -> dict[str, Any]:
        (server,) = json.loads(self.run("status", "--json").stdout)["servers"]
        found: dict[str, Any] = server
        return found

    @property
    def records(self) -> RecordsSettings:
        return RecordsSettings(**tomllib.loads((self.home / "addresses.toml").read_text())["records"])


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "home")
    yield made
    made.run("down")


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < deadline
    return found


def answers(stack: Stack) -> bool:
    try:
        connect(stack.records, "").close()
    except psycopg.OperationalError:
        return False
    return True


def test_postgresql_keeps_its_rows_through_a_kill_and_a_restart_and_stops_cleanly(stack: Stack) -> None:
    up = stack.run("up", "--only", "postgres")
    assert up.returncode == 0, up.stderr
    with connect(stack.records, "") as connection:
        connection.execute("INSERT INTO mutes VALUES (1, 2, true, 3, 'kept')")
    server = stack.server()
    process = psutil.Process(server["pid"])
    assert process.username() != "root"
    process.kill()
    until(lambda: stack.server()["restarts"] == 1 and answers(stack))
    # A client that stays does not hold up the end.
    with connect(stack.records, ""):
        assert stack.run("down").stdout == "The stack is down.\n"
    log = (stack.home / "logs" / "postgres.log").read_text()
    assert log.splitlines()[-1].endswith("database system is shut down")
    assert stack.run("up", "--only", "postgres").returncode == 0
    with connect(stack.records, "") as connection:
        assert connection.execute("SELECT event_id FROM mutes").fetchall() == [("kept",)]
    migrated = stack.run("records", "migrate")
    assert migrated.stdout == "The tables of the schema tideline are at version 0001.\n"


def test_only_who_may_read_the_password_file_gets_in(stack: Stack) -> None:
    assert stack.run("up", "--only", "postgres").returncode == 0
    file = stack.home / "keys" / "postgres.pgpass"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert answers(stack)
    without = stack.records.dsn.partition("?")[0]
    assert file.read_text().strip().rpartition(":")[2] not in (stack.home / "addresses.toml").read_text()
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(RecordsSettings(dsn=without), "")


def test_a_server_that_is_away_is_one_sentence(stack: Stack) -> None:
    stack.env["TIDELINE_RECORDS__DSN"] = "postgresql://x@127.0.0.1:1/x"
    outcome = stack.run("records", "migrate")
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("PostgreSQL does not answer: ")
    assert len(outcome.stderr.strip().splitlines()) == 1
