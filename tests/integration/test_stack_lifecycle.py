"""The local stack as real processes: up, a killed JobManager, down, and starts that fail."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stack.context import job_control
from stack.readiness import get_json
from stack.settings import DEFAULT_PORTS, StackSettings
from stack.wanted import WantedJob, WantedJobs

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
PATIENCE = 240.0

COUNTING_JOB = """
import os
import sys
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

config = Configuration()
config.set_string("execution.checkpointing.interval", "500 ms")
folder = "file://" + os.environ["TIDELINE_HOME"] + "/flink/checkpoints/main/counting"
config.set_string("execution.checkpointing.dir", folder)
checkpoint = sys.argv[1].partition("=")[2]
if checkpoint:
    config.set_string("execution.state-recovery.path", checkpoint)
env = StreamExecutionEnvironment.get_execution_environment(config)
env.set_parallelism(1)
tables = StreamTableEnvironment.create(env)
tables.get_config().set("pipeline.name", "main-counting")
tables.execute_sql("CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10')")
tables.execute_sql("CREATE TABLE counts (n BIGINT) WITH ('connector' = 'blackhole')")
tables.execute_sql("INSERT INTO counts SELECT COUNT(*) FROM numbers")
"""


class Stack:
    """The command line of a stack with a home of its own and any free ports."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {f"TIDELINE_STACK__PORTS__{name.upper()}": "0" for name in DEFAULT_PORTS}
        self.env = {"TIDELINE_HOME": str(home), **ports}

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stack.cli", *arguments],
            env={**os.environ, **self.env, **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "stack.cli", *arguments],
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def servers(self) -> dict[str, dict[str, Any]]:
        status = json.loads(self.run("status", "--json").stdout)
        return {server["name"]: server for server in status["servers"]}

    def processes(self) -> list[str]:
        """The command lines of live processes that name this stack's home, or were told of it."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            try:
                told = process.environ().get("TIDELINE_HOME") == str(self.home)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
            if told:
                found.append(" ".join(process.info["cmdline"] or []))
        return found


def eventually(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen."
        time.sleep(0.2)
    return value


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "home")
    yield stack
    stack.run("down")
    assert stack.processes() == []


def test_a_killed_jobmanager_comes_back_with_its_jobs_and_down_leaves_no_process(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = stack.run("up", "--only", "kafka", "--only", "valkey", "--only", "flink")
    assert started.returncode == 0, started.stderr
    servers = stack.servers()
    assert {server["state"] for server in servers.values()} == {"ready"}
    assert all(server["rss_mb"] > 1 for server in servers.values())

    monkeypatch.setenv("TIDELINE_HOME", str(stack.home))
    entry = tmp_path / "counting_job.py"
    entry.write_text(COUNTING_JOB)
    control = job_control(StackSettings())
    job = WantedJob("", "counting", str(entry))
    assert control.submit([job]) == ["main-counting"]
    assert control.submit([job]) == []
    first = control.active()["main-counting"].job_id
    eventually(lambda: control.last_checkpoint(job), "A checkpoint")
    of_another_namespace = WantedJob("other", "counting", str(entry))
    WantedJobs(control.layout).remember([of_another_namespace])

    os.kill(servers["jobmanager"]["pid"], signal.SIGKILL)

    def restored() -> Any:
        listed = stack.run("jobs", "list").stdout
        if "main-counting" not in listed or first in listed:
            return None
        again = control.active().get("main-counting")
        if again is None or again.state != "RUNNING":
            return None
        rest = servers["jobmanager"]["address"]
        return get_json(f"{rest}/jobs/{again.job_id}/checkpoints", timeout=10)["latest"]["restored"]

    checkpoint = eventually(restored, "The job's return from its checkpoint")
    assert first in checkpoint["external_path"]
    assert stack.run("jobs", "resume").stdout == ""
    assert len(control.jobs()) == 1
    after = stack.servers()
    assert after["jobmanager"]["restarts"] == 1
    assert after["jobmanager"]["pid"] != servers["jobmanager"]["pid"]
    assert after["taskmanager"]["pid"] == servers["taskmanager"]["pid"]

    assert stack.run("jobs", "cancel", "nothing").returncode == 1
    assert control.cancel(["main-counting"]) == ["main-counting"]
    assert [known.cancelled for known in control.known("")] == [True]

    assert stack.run("down").returncode == 0
    assert stack.processes() == []
    assert {server["state"] for server in stack.servers().values()} == {"stopped"}


def test_a_killed_valkey_is_restarted_with_its_data(stack: Stack) -> None:
    import redis

    assert stack.run("up", "--only", "valkey").returncode == 0
    before = stack.servers()["valkey"]
    with redis.Redis.from_url(before["address"]) as client:
        client.set("kept", "yes")
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: stack.servers()["valkey"]["restarts"] == 1, "The restart")
    eventually(lambda: stack.servers()["valkey"]["state"] == "ready", "Readiness after the restart")
    with redis.Redis.from_url(before["address"]) as client:
        assert client.get("kept") == b"yes"


def test_going_down_ends_the_servers_of_a_supervisor_that_was_killed(stack: Stack) -> None:
    assert stack.run("up", "--only", "valkey").returncode == 0
    state = json.loads((stack.home / "run" / "state.json").read_text())
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    eventually(lambda: stack.servers()["valkey"]["state"] == "orphaned", "The supervisor's end")
    assert stack.run("down").returncode == 0
    assert stack.processes() == []


def test_a_configured_port_in_use_is_one_sentence_and_starts_nothing(stack: Stack) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        outcome = stack.run("up", "--only", "valkey", TIDELINE_STACK__PORTS__VALKEY=port)
    assert outcome.returncode == 1
    assert outcome.stderr.strip() == f"Port {port}, configured for valkey, is in use by another program."
    assert not stack.home.exists()
    assert stack.processes() == []


def test_a_server_that_cannot_start_takes_the_others_down_and_names_its_log(stack: Stack) -> None:
    blocked = stack.home / "valkey"
    blocked.mkdir(parents=True)
    (blocked / "appendonlydir").write_text("a file where a folder has to be")
    outcome = stack.run("up", "--only", "valkey", "--only", "kafka")
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("The stack did not start: valkey ended with code")
    assert str(stack.home / "logs" / "valkey.log") in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert stack.processes() == []


def test_an_interrupted_start_leaves_no_process(stack: Stack) -> None:
    starting = stack.begin("up", "--only", "kafka", "--only", "valkey")
    eventually(lambda: (stack.home / "run" / "state.json").exists(), "The first server's start")
    starting.send_signal(signal.SIGINT)
    assert starting.wait(PATIENCE) == 130
    assert stack.processes() == []
