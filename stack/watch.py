"""One server's life under the supervisor: started, asked until it answers, restarted when it dies."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import Future

from stack.readiness import Check
from stack.server import Server
from stack.state import Condition, ProcessRef, ServerState

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
# A server that has answered for this long starts again with the first backoff.
SETTLED = 60.0

Launcher = Callable[[Server], "subprocess.Popen[bytes]"]
# Asks without waiting: a server that is slow to answer may not hold up the others.
Asker = Callable[[Check], "Future[bool]"]
# Ends a process and what is left of its group.
Ender = Callable[["subprocess.Popen[bytes]"], None]


class StartError(Exception):
    """A server that never answered; the sentence names it."""


class Watch:
    """``tick`` moves the server on; time, launching, asking and ending are the caller's."""

    def __init__(
        self, server: Server, launch: Launcher, ask: Asker, end: Ender, start_seconds: float
    ) -> None:
        self.server = server
        self._launch = launch
        self._submit = ask
        self._answer: Future[bool] | None = None
        self._end = end
        self._start_seconds = start_seconds
        self._started = 0.0
        self._answered_at: float | None = None
        self._retry_at = 0.0
        self._backoff = FIRST_BACKOFF
        self.popen: subprocess.Popen[bytes] | None = None
        self.condition: Condition = "waiting"
        self.restarts = 0

    def tick(self, now: float, ready: set[str]) -> None:
        """``ready`` names the servers that answer. ``StartError`` when the very first start fails."""
        if self.condition == "waiting":
            if ready.issuperset(self.server.after):
                self._start(now, "starting")
        elif self.popen is None:
            if now >= self._retry_at:
                self._start(now, "restarting")
        elif (code := self.popen.poll()) is not None:
            self._ended(now, f"ended with code {code}")
        elif self.condition != "ready":
            self._ask(now)

    def again(self, now: float) -> None:
        """End the process, if there is one, and start anew at the next tick."""
        self._drop()
        self._retry_at = now
        self.condition = "restarting"

    def state(self) -> ServerState:
        process = ProcessRef.of(self.popen.pid) if self.popen else None
        return ServerState(self.server.name, self.server.address, self.condition, process, self.restarts)

    def _start(self, now: float, condition: Condition) -> None:
        self.server.prepare()
        self.popen = self._launch(self.server)
        self._started = now
        self.condition = condition

    def _ask(self, now: float) -> None:
        if self._answer is None:
            self._answer = self._submit(self.server.ready)
        if self._answer.done():
            if self._answer.result():
                self.condition = "ready"
                self._answered_at = now
            self._answer = None
        if self.condition != "ready" and now - self._started > self._start_seconds:
            self._ended(now, f"did not answer within {self._start_seconds:.0f} s")

    def _ended(self, now: float, how: str) -> None:
        if self._answered_at is None:
            raise StartError(f"{self.server.name} {how}")
        if self.condition == "ready" and now - self._answered_at > SETTLED:
            self._backoff = FIRST_BACKOFF
        self._drop()
        self._retry_at = now + self._backoff
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF)
        self.restarts += 1
        self.condition = "restarting"

    def _drop(self) -> None:
        """Children of a killed parent would hold its port: the whole group goes."""
        if self.popen is not None:
            self._end(self.popen)
            self.popen = None
        self._answer = None
