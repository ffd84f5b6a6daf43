"""The write API and the ranking API: one ASGI app, several workers, one address."""

from __future__ import annotations

import sys

from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import http_answers
from stack.server import Server


def server(plan: Plan) -> Server:
    """uvicorn's own parent process restarts a worker that dies."""
    address = plan.address("api")
    return Server(
        name="api",
        command=(
            sys.executable,
            "-m",
            "uvicorn",
            "stack.asgi:create_app",
            "--factory",
            "--host",
            LOOPBACK,
            "--port",
            str(plan.ports["api"]),
            "--workers",
            str(plan.stack.api_workers),
            "--log-level",
            "warning",
            "--no-access-log",
        ),
        address=address,
        ready=http_answers(f"{address}/healthz"),
        env={"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MALLOC_ARENA_MAX": "2"},
        after=("kafka", "valkey"),
        reloads=True,
    )
