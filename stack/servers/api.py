"""The write API and the ranking API: one ASGI app, several workers, one address."""

from __future__ import annotations

import shutil
import sys

from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import http_answers
from stack.server import Server


def server(plan: Plan) -> Server:
    """uvicorn's own parent process restarts a worker that dies."""
    address = plan.address("api")
    metrics = plan.layout.run / "metrics"

    def empty_metrics() -> None:
        """What the workers measure lies there, so that each of them can answer for all."""
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(parents=True)

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
        env={
            "OMP_NUM_THREADS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MALLOC_ARENA_MAX": "2",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        },
        after=_needed(plan),
        prepare=empty_metrics,
        reloads=True,
    )


def _needed(plan: Plan) -> tuple[str, ...]:
    """At its very first questions MLflow makes its tables, and two at once leave it with half of them."""
    tables_made = (plan.layout.data("mlflow") / "mlflow.db").exists()
    return ("kafka", "valkey") if tables_made else ("kafka", "valkey", "mlflow")
