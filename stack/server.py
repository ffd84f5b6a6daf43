"""What a server of the stack is, to the supervisor."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stack.readiness import Check


@dataclass(frozen=True)
class Server:
    """One process (with its children, in a process group of its own) and how to tell that it answers.

    ``prepare`` writes its configuration before each start; ``after`` names servers that must answer first;
    ``recover`` is a command run beside each restart of this server, for which it waits, until it succeeds.
    ``reloads``: it starts again when the stack is pointed at another namespace. ``stop_signal`` asks it to
    end.
    """

    name: str
    command: tuple[str, ...]
    address: str
    ready: Check
    env: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    prepare: Callable[[], None] = lambda: None
    recover: tuple[str, ...] = ()
    reloads: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
