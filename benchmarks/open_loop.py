"""An open-loop load generator: requests are due at an even rate, whether or not earlier ones are answered.

An answer's time counts from the moment its request was due, not from when it was sent, so that a service that
stalls is not asked less kindly. The connections are bounded and kept alive; one that the service closed for
idleness is opened anew.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from benchmarks.load import answer_of

RUNG = b'"rung":"'


@dataclass(frozen=True)
class Timed:
    """One answer: ``due`` and ``ended`` in seconds since the load began."""

    due: float
    ended: float
    status: int
    body: bytes

    @property
    def seconds(self) -> float:
        return self.ended - self.due

    @property
    def rung(self) -> str:
        """The rung of a feed page; empty for anything else."""
        at = self.body.rfind(RUNG)
        return "" if at < 0 else self.body[at + len(RUNG) :].split(b'"', 1)[0].decode()


@dataclass(frozen=True)
class Answers:
    """What a load was answered, in the order in which the requests were due.

    ``followed``: the answers to what was asked upon an answer, in the same order.
    """

    timed: Sequence[Timed]
    followed: Sequence[Timed] = ()

    def ms(self, percentile: float) -> float:
        return float(np.percentile([answer.seconds for answer in self.timed], percentile)) * 1000

    @property
    def errors_5xx(self) -> int:
        return sum(answer.status >= 500 for answer in self.timed)

    @property
    def refused(self) -> int:
        return sum(400 <= answer.status < 500 for answer in self.timed)

    def share(self, rung: str) -> float:
        return self.rungs[rung] / len(self.timed)

    @property
    def rungs(self) -> Counter[str]:
        return Counter(answer.rung for answer in self.timed)


Following = Callable[[int, Timed], bytes | None]
"""What is asked at once upon the answer to a request, given by its place."""


async def offer(
    host: str,
    port: int,
    requests: Sequence[bytes],
    rate: float,
    connections: int = 64,
    timeout_s: float = 30.0,
    following: Following = lambda number, answer: None,
) -> Answers:
    """Sends ``requests`` at ``rate`` a second, each over the first connection that is free.

    What is ``following`` is due when its forerunner is answered, and goes over the same connection.

    Raises:
        TimeoutError: an answer took longer than ``timeout_s``.
        OSError: the server does not accept connections, or closes one that it was asked over.
    """
    due: asyncio.Queue[int | None] = asyncio.Queue()
    answers: list[Timed | None] = [None] * len(requests)
    followed: list[Timed | None] = [None] * len(requests)
    opened = [await asyncio.open_connection(host, port) for _ in range(min(connections, len(requests)))]
    started = time.perf_counter()

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (number := await due.get()) is not None:
            if reader.at_eof():
                writer.close()
                reader, writer = await asyncio.open_connection(host, port)
            answer = await ask(reader, writer, requests[number], number / rate)
            answers[number] = answer
            if (request := following(number, answer)) is not None:
                followed[number] = await ask(reader, writer, request, answer.ended)
        writer.close()

    async def ask(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, due_at: float
    ) -> Timed:
        writer.write(request)
        async with asyncio.timeout(timeout_s):
            status, body = await answer_of(reader)
        return Timed(due_at, time.perf_counter() - started, status, body)

    async with asyncio.TaskGroup() as group:
        for connection in opened:
            group.create_task(send(*connection))
        for number in range(len(requests)):
            await asyncio.sleep(max(started + number / rate - time.perf_counter(), 0))
            due.put_nowait(number)
        for _ in opened:
            due.put_nowait(None)
    return Answers(_those(answers), _those(followed))


def highest_rate(sustained: Callable[[float], bool], first: float, bisections: int = 4) -> float:
    """The highest rate that is sustained: doubled until it is not, then bisected; 0 where not even
    ``first`` is.
    """
    low, high = 0.0, first
    while sustained(high):
        low, high = high, 2 * high
    if not low:
        return 0.0
    for _ in range(bisections):
        middle = (low + high) / 2
        low, high = (middle, high) if sustained(middle) else (low, middle)
    return low


def _those(answers: Sequence[Timed | None]) -> list[Timed]:
    return [answer for answer in answers if answer is not None]


def two_cores() -> tuple[set[int], set[int]]:
    """The service's core and everybody else's; all of them twice on a machine with one."""
    cores = sorted(os.sched_getaffinity(0))
    return ({cores[0]}, {cores[1]}) if len(cores) > 1 else (set(cores), set(cores))


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """This thread, and the processes it starts meanwhile, run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
