"""What one ``tideline up`` decided, servers, ports and Java; the supervisor gets it as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stack.layout import Layout
from stack.ports import LOOPBACK
from stack.settings import StackSection

SERVERS = ("kafka", "valkey", "postgres", "flink", "mlflow", "relay", "api")
# Ports that only the servers themselves use.
INNER_PORTS = {"kafka": "kafka_controller", "flink": "flink_rpc"}


class Plan(BaseModel):
    """``ports`` holds every port, those of servers that are not started included (their usual ones)."""

    model_config = ConfigDict(frozen=True)

    home: Path
    java: Path
    jars: Path
    ports: dict[str, int]
    servers: tuple[str, ...]
    stack: StackSection

    @property
    def layout(self) -> Layout:
        return Layout(self.home)

    def address(self, server: str) -> str:
        """The HTTP address of a server."""
        return f"http://{LOOPBACK}:{self.ports[server]}"
