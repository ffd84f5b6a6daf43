"""The servers of a plan."""

from __future__ import annotations

import sys
from dataclasses import replace

from stack.plan import Plan
from stack.server import Server
from stack.servers import api, flink, kafka, mlflow, postgres, relay, valkey

RESUME = (sys.executable, "-m", "stack.cli", "jobs", "resume")


def servers(plan: Plan) -> list[Server]:
    """One ``Server`` per process, in the order in which they are listed; each waits for those alone that are
    of this stack."""
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
    names = {server.name for server in fleet}
    return [replace(server, after=tuple(name for name in server.after if name in names)) for server in fleet]
