"""The embedded Flink mini cluster for tests of the stream jobs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.jars import jar_paths


@pytest.fixture(scope="session")
def flink_environment() -> Callable[[], Any]:
    """Makes execution environments: thread mode, quick checkpoints, no restart after a failure."""
    jars = jar_paths("flink")
    if missing := [jar.name for jar in jars if not jar.is_file()]:
        pytest.skip(f"Flink's connector jars are not there: {', '.join(missing)}")
    # The interpreter inside the JVM is the first python on PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    def make() -> Any:
        config = Configuration()
        for key, value in {
            "pipeline.jars": ";".join(jar.as_uri() for jar in jars),
            "python.execution-mode": "thread",
            "restart-strategy.type": "none",
            "execution.checkpointing.interval": "500 ms",
        }.items():
            config.set_string(key, value)
        env = StreamExecutionEnvironment.get_execution_environment(config)
        env.set_parallelism(1)
        return env

    return make
