"""A TCP proxy before a real server that holds back, delays, cuts or refuses its answers, as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What happens to each piece of an answer: it is late, held back, or cut in the middle.

    ``cut`` decides by the size of each piece; after a cut the connection is closed. ``resets``: connections
    that are open are reset, and new ones as soon as they are made.
    """

    delay_s: Callable[[], float] = lambda: 0.0
    cut: Callable[[int], bool] = lambda size: False
    stalls: bool = False
    resets: bool = False


PASS = Fault()
STALL = Fault(stalls=True)
RESET = Fault(resets=True)
CUT = Fault(cut=lambda size: True)


def delay(seconds: float) -> Fault:
    return Fault(delay_s=lambda: seconds)


class Proxy:
    """Listens on a free port of the loopback and passes bytes on to ``upstream``.

    ``asked``: the pieces of questions passed on so far.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._fault = PASS
        self._changed = asyncio.Condition()
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}
        self.asked = 0
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            serving = [task for task in self._clients.values() if task is not None]
            for client in self._clients:
                client.close()
            await asyncio.gather(*serving, return_exceptions=True)

    async def become(self, fault: Fault) -> None:
        """From now on, on open connections too; what a stall held back is then answered."""
        async with self._changed:
            self._fault = fault
            self._changed.notify_all()
        if fault.resets:
            for client in list(self._clients):
                _reset(client)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault.resets:
            _reset(writer)
            return
        self._clients[writer] = asyncio.current_task()
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        answers = asyncio.create_task(self._answer(upstream_reader, writer))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                self.asked += 1
                upstream_writer.write(data)
        self._clients.pop(writer)
        answers.cancel()
        upstream_writer.close()
        writer.close()

    async def _answer(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            async with self._changed:
                await self._changed.wait_for(lambda: not self._fault.stalls)
            await asyncio.sleep(self._fault.delay_s())
            if self._fault.cut(len(data)):
                target.write(data[: len(data) // 2])
                break
            target.write(data)
        target.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection without a farewell: the other side reads ``ECONNRESET``."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
