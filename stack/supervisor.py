"""The one process that ``tideline up`` leaves behind: it starts the servers and restarts those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stack.errors import UserError
from stack.layout import Layout
from stack.plan import Plan
from stack.processes import launch, rotate, stop_groups
from stack.readiness import Check
from stack.server import Server
from stack.state import ProcessRef, StackState, write_state
from stack.watch import StartError, Watch

TICK_SECONDS = 0.1
LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 3
ROTATE_EVERY = 50


class Supervisor:
    """Runs a fleet until told to stop; everything it started is gone when ``run`` returns."""

    def __init__(
        self, layout: Layout, fleet: list[Server], start_seconds: float, stop_seconds: float
    ) -> None:
        self._layout = layout
        self._stop_seconds = stop_seconds
        self._watches = [Watch(server, self._launch, self._ask, self._end, start_seconds) for server in fleet]
        self._asking = ThreadPoolExecutor(len(fleet) or 1)
        self._groups: dict[int, signal.Signals] = {}
        self._recoveries: dict[str, Recovery] = {}
        self._written: StackState | None = None
        self._failure: str | None = None
        self.stopping = False
        self.reloading = False

    def run(self) -> int:
        """0 when stopped by a signal, 1 when a server did not start."""
        try:
            ticks = 0
            while not self.stopping:
                self._tick(time.monotonic())
                ticks += 1
                if ticks % ROTATE_EVERY == 0:
                    for log in self._layout.logs.glob("*.log"):
                        rotate(log, LOG_BYTES, LOGS_KEPT)
                time.sleep(TICK_SECONDS)
        except (StartError, UserError, OSError) as error:
            self._failure = str(error)
        finally:
            self._asking.shutdown(wait=False, cancel_futures=True)
            stop_groups(self._groups, self._stop_seconds)
            for watch in self._watches:
                watch.popen = None
                watch.condition = "stopped"
            self._write()
        return 1 if self._failure else 0

    def _tick(self, now: float) -> None:
        if self.reloading:
            self.reloading = False
            for watch in self._watches:
                if watch.server.reloads and watch.condition != "waiting":
                    watch.again(now)
        ready = {watch.server.name for watch in self._watches if watch.condition == "ready"}
        for watch in self._watches:
            before = watch.popen
            watch.tick(now, ready)
            started_again = watch.popen not in (None, before) and watch.condition == "restarting"
            if started_again and watch.server.recover:
                self._recoveries[watch.server.name] = Recovery(watch.server.recover, self._launch_recovery)
        for name in [name for name, recovery in self._recoveries.items() if recovery.tick(now)]:
            del self._recoveries[name]
        self._write()

    def _launch(self, server: Server) -> subprocess.Popen[bytes]:
        env = {"TIDELINE_HOME": str(self._layout.home), **server.env}
        process = launch(server.command, env, self._layout.log(server.name))
        self._groups[process.pid] = server.stop_signal
        return process

    def _ask(self, check: Check) -> Future[bool]:
        return self._asking.submit(check)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        stop_groups({process.pid: self._groups.pop(process.pid, signal.SIGTERM)}, self._stop_seconds)
        process.wait()

    def _launch_recovery(self, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        env = {"TIDELINE_HOME": str(self._layout.home)}
        process = launch(command, env, self._layout.log("recovery"))
        self._groups[process.pid] = signal.SIGTERM
        return process

    def _write(self) -> None:
        me = ProcessRef.of(os.getpid())
        assert me is not None  # noqa: S101 - this process runs
        state = StackState(me, [watch.state() for watch in self._watches], self._failure)
        if state != self._written:
            write_state(self._layout.state, state)
            self._written = state


class Recovery:
    """A command repeated, with a pause that grows, until it succeeds."""

    def __init__(
        self,
        command: tuple[str, ...],
        start: Callable[[tuple[str, ...]], subprocess.Popen[bytes]],
        pause: float = 1.0,
    ) -> None:
        self._command = command
        self._start = start
        self._pause = pause
        self._next = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def tick(self, now: float) -> bool:
        """Whether it is over."""
        if self._process is None:
            if now >= self._next:
                self._process = self._start(self._command)
            return False
        code = self._process.poll()
        if code is None:
            return False
        self._process = None
        self._next = now + self._pause
        self._pause = min(self._pause * 2, 30.0)
        return code == 0


def main(plan_file: str) -> int:
    """Run the plan in this process."""
    from stack.fleet import servers

    plan = Plan.model_validate_json(Path(plan_file).read_text())
    supervisor = Supervisor(plan.layout, servers(plan), plan.stack.start_seconds, plan.stack.stop_seconds)

    def stop(number: int, frame: object) -> None:
        supervisor.stopping = True

    def again(number: int, frame: object) -> None:
        supervisor.reloading = True

    signal.signal(signal.SIGUSR1, again)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
