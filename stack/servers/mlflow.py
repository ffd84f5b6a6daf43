"""The MLflow tracking server and registry: SQLite and a folder of artifacts."""

from __future__ import annotations

import sys

from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import http_answers
from stack.server import Server


def server(plan: Plan) -> Server:
    """One worker; artifacts go through the server, so clients need its address only.

    Run as what ``mlflow server`` runs after reading its options, with the variables it hands on: the command
    itself stays in front of its worker with 250 MB and doubles the time to start.
    """
    data = plan.layout.data("mlflow")
    port = plan.ports["mlflow"]
    address = plan.address("mlflow")
    command = (sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app")
    options = ("--host", LOOPBACK, "--port", str(port), "--log-level", "warning", "--no-access-log")
    return Server(
        name="mlflow",
        command=command + options,
        address=address,
        # The store opens, and makes its tables, at the first question that needs it.
        ready=http_answers(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=60.0),
        env={
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{data / 'mlflow.db'}",
            "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{data / 'mlflow.db'}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(data / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:{port},localhost:{port}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MALLOC_ARENA_MAX": "2",
        },
        prepare=lambda: (data / "artifacts").mkdir(parents=True, exist_ok=True),
    )
