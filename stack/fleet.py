"""The servers of a plan."""

from __future__ import annotations

import sys

from stack.plan import Plan
from stack.server import Server
from stack.servers import api, flink, kafka, mlflow, postgres, relay, valkey

RESUME = (sys.executable, "-m", "stack.cli", "jobs", "resume")


def servers(plan: Plan) -> list[Server]:
    """One ``Server`` per process, in the order in which they are listed."""
    fleet: list[Server] = []
    for name in plan.servers:
        match name:
            case "kafka":
                fleet.append(kafka.server(plan))
            case "valkey":
                fleet.append(valkey.server(plan))
            case "postgres":
                fleet.append(postgres.server(plan))
            case "flink":
                fleet.extend(flink.servers(plan, resume=RESUME))
            case "mlflow":
                fleet.append(mlflow.server(plan))
            case "relay":
                fleet.append(relay.server(plan))
            case "api":
                fleet.append(api.server(plan))
    return fleet
