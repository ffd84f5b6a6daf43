"""A small bounded load generator: keep-alive HTTP/1.1 connections, each asking again when it is answered.

It looks at little of an answer, so that it takes little of the machine it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial


@dataclass
class Outcome:
    """Seconds of each answered request, answers by status, how many were as expected, and the wall time."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    expected: int = 0
    wall: float = 0.0

    @property
    def errors_5xx(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 500)


def get(path: str, host: str, token: str) -> bytes:
    """The bytes of one GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(path: str, host: str, token: str, body: bytes) -> bytes:
    """The bytes of one POST request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + kind).encode() + body


async def drive(
    host: str,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    expected: bytes,
    timeout_s: float = 30.0,
) -> Outcome:
    """Sends ``requests``, shared out over so many connections; ``expected`` is to be in every answer.

    Raises:
        TimeoutError: an answer took longer than ``timeout_s``.
        OSError: the server closed a connection.
    """
    outcome = Outcome()
    waiting = iter(requests)
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            following = partial(next, waiting, None)
            group.create_task(_connection(host, port, following, expected, outcome, timeout_s))
    outcome.wall = time.perf_counter() - started
    return outcome


async def _connection(
    host: str,
    port: int,
    following: Callable[[], bytes | None],
    expected: bytes,
    outcome: Outcome,
    timeout_s: float,
) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while (request := following()) is not None:
            asked = time.perf_counter()
            writer.write(request)
            async with asyncio.timeout(timeout_s):
                status, body = await answer_of(reader)
            outcome.seconds.append(time.perf_counter() - asked)
            outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
            outcome.expected += expected in body
    finally:
        writer.close()
        await writer.wait_closed()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of the next answer, which has to say its length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    body = await reader.readexactly(length)
    return int(head.split(b" ", 2)[1]), body
