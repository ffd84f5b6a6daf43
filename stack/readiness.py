"""Whether a server answers, asked in its own protocol. Each check is one short question, never an error."""

from __future__ import annotations

import json
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from stack.ports import LOOPBACK

Check = Callable[[], bool]
TIMEOUT = 1.0
API_VERSIONS = 18
POSTGRES_PROTOCOL = 3 << 16


def _ask(port: int, question: bytes, expected: int) -> bytes:
    with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT) as connection:
        connection.sendall(question)
        return connection.recv(expected)


def kafka_answers(port: int) -> Check:
    """A broker that answers an ApiVersions request has opened for requests."""
    body = struct.pack(">hhih", API_VERSIONS, 0, 1, -1)
    question = struct.pack(">i", len(body)) + body

    def check() -> bool:
        try:
            return len(_ask(port, question, 8)) == 8
        except OSError:
            return False

    return check


def redis_answers(port: int) -> Check:
    """+PONG, which a server that is still loading its file does not say."""

    def check() -> bool:
        try:
            return _ask(port, b"PING\r\n", 5) == b"+PONG"
        except OSError:
            return False

    return check


def postgres_answers(port: int) -> Check:
    """A request to authenticate, which a server that is still starting refuses with an error."""
    body = struct.pack(">i", POSTGRES_PROTOCOL) + b"user\0tideline\0database\0postgres\0\0"
    question = struct.pack(">i", len(body) + 4) + body

    def check() -> bool:
        try:
            return _ask(port, question, 1) == b"R"
        except OSError:
            return False

    return check


def get_json(url: str, timeout: float = TIMEOUT) -> Any:
    """The JSON at a loopback URL; ``OSError`` or ``ValueError`` when there is none."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310
        return json.loads(answer.read())


def http_answers(url: str, timeout: float = TIMEOUT) -> Check:
    """Any 2xx answer."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310
                return 200 <= int(answer.status) < 300
        except (OSError, ValueError):
            return False

    return check


def taskmanager_registered(rest: str, slots: int) -> Check:
    """The JobManager counts the TaskManager's slots."""

    def check() -> bool:
        try:
            return int(get_json(f"{rest}/overview")["slots-total"]) >= slots
        except (OSError, ValueError, KeyError):
            return False

    return check
