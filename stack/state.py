"""What the supervisor tells the other commands, in one JSON file that is replaced as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import psutil

from ingestion.whole_files import write_whole

Condition = Literal["waiting", "starting", "ready", "restarting", "stopped"]


class ProcessRef(msgspec.Struct, frozen=True):
    """A process, told from a later one of the same id by when it was created."""

    pid: int
    created: float

    @staticmethod
    def of(pid: int) -> ProcessRef | None:
        """None for a process that is gone already."""
        try:
            return ProcessRef(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """The process, while it runs."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.created) > 1 or found.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return found


class ServerState(msgspec.Struct, frozen=True):
    name: str
    address: str
    condition: Condition
    process: ProcessRef | None = None
    restarts: int = 0


class StackState(msgspec.Struct, frozen=True):
    """``failure`` is the sentence of a start that failed."""

    supervisor: ProcessRef
    servers: list[ServerState]
    failure: str | None = None

    @property
    def ready(self) -> bool:
        return all(server.condition == "ready" for server in self.servers)


def write_state(path: Path, state: StackState) -> None:
    write_whole(path, msgspec.json.encode(state))


def read_state(path: Path) -> StackState | None:
    """None where no supervisor has written one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
