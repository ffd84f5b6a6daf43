"""What runs, and how much memory it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import psutil
from rich import box
from rich.table import Table

from stack.layout import Layout
from stack.processes import group_members
from stack.state import StackState, read_state

MIB = 1024 * 1024


@dataclass(frozen=True)
class ServerSurvey:
    """``rss_mb`` is the resident memory of the process and its children, in MiB."""

    name: str
    pid: int | None
    address: str
    state: str
    restarts: int
    rss_mb: float


@dataclass(frozen=True)
class Survey:
    """``rss_mb`` is the whole stack's, the supervisor included."""

    servers: tuple[ServerSurvey, ...]
    rss_mb: float

    @property
    def ready(self) -> bool:
        return bool(self.servers) and all(server.state == "ready" for server in self.servers)

    def as_json(self) -> dict[str, Any]:
        servers = [
            {
                "name": server.name,
                "pid": server.pid,
                "address": server.address,
                "state": server.state,
                "restarts": server.restarts,
                "rss_mb": round(server.rss_mb, 1),
            }
            for server in self.servers
        ]
        return {"ready": self.ready, "rss_mb": round(self.rss_mb, 1), "servers": servers}

    def as_table(self) -> Table:
        table = Table(box=box.SIMPLE)
        for name in ("server", "pid", "address", "state", "restarts", "memory"):
            table.add_column(name, overflow="fold")
        for server in self.servers:
            pid = str(server.pid) if server.pid else "-"
            memory = f"{server.rss_mb:,.0f} MB"
            table.add_row(server.name, pid, server.address, server.state, str(server.restarts), memory)
        table.add_row("total", "", "", "", "", f"{self.rss_mb:,.0f} MB")
        return table


def resident_mb(groups: set[int]) -> dict[int, float]:
    """MiB resident by process group."""
    memory = dict.fromkeys(groups, 0.0)
    for process in group_members(groups):
        try:
            group = os.getpgid(process.pid)
            memory[group] += process.memory_info().rss / MIB
            # PostgreSQL's processes leave the group; most of what they have resident is their parent's too.
            for child in process.children():
                if os.getpgid(child.pid) not in groups:
                    held = child.memory_info()
                    memory[group] += (held.rss - held.shared) / MIB
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return memory


def survey(layout: Layout) -> Survey:
    """The stack as its supervisor last described it, checked against the processes that live."""
    state = read_state(layout.state)
    if state is None:
        return Survey((), 0.0)
    return _survey(state)


def _survey(state: StackState) -> Survey:
    alive = state.supervisor.process() is not None
    pids = {s.name: s.process.pid for s in state.servers if s.process and s.process.process()}
    groups = set(pids.values()) | ({state.supervisor.pid} if alive else set())
    memory = resident_mb(groups)
    servers = []
    for server in state.servers:
        pid = pids.get(server.name)
        condition = server.condition if alive else ("orphaned" if pid else "stopped")
        rss = memory[pid] if pid else 0.0
        servers.append(ServerSurvey(server.name, pid, server.address, condition, server.restarts, rss))
    return Survey(tuple(servers), sum(memory.values()))
