"""Ports on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from stack.errors import UserError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def choose_ports(
    configured: Mapping[str, int | None],
    defaults: Mapping[str, int],
    free: Callable[[int], bool] = is_free,
    any_free: Callable[[], int] = free_port,
) -> dict[str, int]:
    """A port for each name: the configured one, else the default where it is free, else any.

    ``UserError`` when a configured port is taken or is given to two servers.
    """
    chosen: dict[str, int] = {}
    for name, port in configured.items():
        if not port:
            continue
        if port in chosen.values():
            raise UserError(f"Port {port} is configured for {name} and for another server.")
        if not free(port):
            raise UserError(f"Port {port}, configured for {name}, is in use by another program.")
        chosen[name] = port
    for name, port in configured.items():
        if port:
            continue
        default = defaults.get(name, 0)
        if port is None and default and default not in chosen.values() and free(default):
            chosen[name] = default
            continue
        candidate = any_free()
        while candidate in chosen.values():
            candidate = any_free()
        chosen[name] = candidate
    return chosen
