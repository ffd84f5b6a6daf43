"""Starting and stopping process groups."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


def launch(command: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, its output appended to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            list(command),
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def signal_group(group: int, number: signal.Signals) -> None:
    """Signal every process of a group; one that is gone already is no error."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def group_members(groups: set[int]) -> list[psutil.Process]:
    """The live processes of these groups (zombies have ended)."""
    members = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) in groups and process.info["status"] != psutil.STATUS_ZOMBIE:
                members.append(process)
        except ProcessLookupError:
            continue
    return members


def stop_groups(groups: Mapping[int, signal.Signals], patience: float) -> None:
    """Each group gets its signal, then after ``patience`` seconds KILL; returns when no process is left."""
    for group, number in groups.items():
        signal_group(group, number)
    deadline = time.monotonic() + patience
    while remaining := group_members(set(groups)):
        if time.monotonic() > deadline:
            for process in remaining:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
        time.sleep(0.05)


def rotate(log: Path, limit_bytes: int, keep: int) -> None:
    """Copy a log that has grown past the limit aside and empty it: its writer appends and need not know."""
    try:
        if log.stat().st_size <= limit_bytes:
            return
    except FileNotFoundError:
        return
    for number in range(keep - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.with_name(f"{log.name}.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
