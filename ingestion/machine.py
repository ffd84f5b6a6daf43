"""Gives each process of a host a machine number of its own, for Snowflake ids."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path


class NoMachineNumberError(RuntimeError):
    """Every number of this host is taken."""


@dataclass(frozen=True)
class MachineNumber:
    """A number that is this process's until it is released or the process ends."""

    number: int
    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


def claim_machine(folder: Path, first: int, count: int) -> MachineNumber:
    """The first free number of ``first`` to ``first + count - 1``.

    A number is held by a lock on a file, which the kernel drops with the process, however it ends.

    Raises:
        NoMachineNumberError: none is free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        descriptor = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return MachineNumber(number, descriptor)
    raise NoMachineNumberError(f"The machine numbers {first} to {first + count - 1} are all taken.")
