"""The relay of the outbox: one Python process, without a port."""

from __future__ import annotations

import sys

from stack.plan import Plan
from stack.server import Server


def server(plan: Plan) -> Server:
    """It answers once PostgreSQL has answered it; the tables and topics may come later."""
    connected = plan.layout.run / "relay.connected"

    def forget() -> None:
        connected.parent.mkdir(parents=True, exist_ok=True)
        connected.unlink(missing_ok=True)

    return Server(
        name="relay",
        command=(sys.executable, "-m", "ingestion.relay", str(connected)),
        address="PostgreSQL's outbox to Kafka",
        ready=connected.exists,
        env={"MALLOC_ARENA_MAX": "2"},
        after=("kafka", "postgres"),
        prepare=forget,
        reloads=True,
    )
