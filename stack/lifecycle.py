"""Bringing the stack up and down."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stack import addresses
from stack.addresses import Choices
from stack.checks import require_disk, require_jars, require_java
from stack.errors import UserError
from stack.layout import Layout
from stack.plan import INNER_PORTS, SERVERS, Plan
from stack.ports import choose_ports
from stack.processes import launch, stop_groups
from stack.settings import DEFAULT_PORTS, StackSettings
from stack.state import ServerState, StackState, read_state

POLL_SECONDS = 0.1
Report = Callable[[StackState], None]


def layout_of(settings: StackSettings) -> Layout:
    return Layout(settings.home.absolute())


def running(layout: Layout) -> StackState | None:
    """The state of a stack whose supervisor lives."""
    state = read_state(layout.state)
    return state if state and state.supervisor.process() else None


def selected(only: Sequence[str], without: Sequence[str]) -> tuple[str, ...]:
    """The servers asked for; ``UserError`` for a name that is none."""
    for name in (*only, *without):
        if name not in SERVERS:
            raise UserError(f"There is no server {name!r}; the servers are {', '.join(SERVERS)}.")
    return tuple(name for name in SERVERS if (not only or name in only) and name not in without)


def make_plan(settings: StackSettings, servers: tuple[str, ...], report: Callable[[str], None]) -> Plan:
    """Check the machine and decide; ``UserError`` says what is missing. Starts nothing."""
    layout = layout_of(settings)
    require_disk(layout.home, settings.stack.disk_gb)
    java, jars = Path(), Path()
    if "kafka" in servers or "flink" in servers:
        java, jars = require_java(), require_jars(report)
    configured = settings.stack.ports.model_dump()
    ports: dict[str, int | None] = {name: configured[name] for name in servers if name in configured}
    ports |= {INNER_PORTS[name]: 0 for name in servers if name in INNER_PORTS}
    chosen = {name: configured[name] or default for name, default in DEFAULT_PORTS.items()}
    chosen |= choose_ports(ports, DEFAULT_PORTS)
    return Plan(home=layout.home, java=java, jars=jars, ports=chosen, servers=servers, stack=settings.stack)


def start(plan: Plan, choices: Choices, report: Report) -> StackState:
    """Start the supervisor and wait for its servers; a failure or Ctrl-C leaves nothing running."""
    layout = plan.layout
    stop(layout, plan.stack.stop_seconds)
    layout.run.mkdir(parents=True, exist_ok=True)
    layout.plan.write_text(plan.model_dump_json())
    addresses.write(layout, addresses.render(plan, choices))
    layout.state.unlink(missing_ok=True)
    supervisor = launch(
        (sys.executable, "-m", "stack.supervisor", str(layout.plan)),
        {"TIDELINE_HOME": str(layout.home)},
        layout.log("supervisor"),
    )
    try:
        return _await_ready(layout, supervisor, report)
    except BaseException:
        _end(supervisor, plan.stack.stop_seconds)
        stop(layout, plan.stack.stop_seconds)
        raise


def _await_ready(layout: Layout, supervisor: subprocess.Popen[bytes], report: Report) -> StackState:
    seen: StackState | None = None
    while True:
        state = read_state(layout.state)
        if state and state != seen:
            report(state)
            seen = state
        if state and state.failure:
            name = state.failure.split()[0]
            log = layout.log(name) if layout.log(name).exists() else layout.log("supervisor")
            raise UserError(f"The stack did not start: {state.failure}; its log is {log}.")
        if state and state.ready:
            return state
        if supervisor.poll() is not None:
            raise UserError(f"The supervisor ended early; its log is {layout.log('supervisor')}.")
        time.sleep(POLL_SECONDS)


def _end(supervisor: subprocess.Popen[bytes], patience: float) -> None:
    """It stops its servers itself, and is not hurried out of that."""
    if supervisor.poll() is None:
        supervisor.terminate()
    try:
        supervisor.wait(patience * 2 + 5)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def reload(plan: Plan, choices: Choices, report: Report) -> StackState:
    """Give a running stack other choices: the servers that read settings start again."""
    layout = plan.layout
    state = running(layout)
    if state is None:
        raise UserError("The stack is not running.")
    text = addresses.render(plan, choices)
    if text != layout.addresses.read_text():
        addresses.write(layout, text)
        process = state.supervisor.process()
        if process and "api" in plan.servers:
            process.send_signal(signal.SIGUSR1)
            while (state := running(layout)) and state.ready:
                time.sleep(POLL_SECONDS)
    while (state := running(layout)) and not state.ready:
        report(state)
        time.sleep(POLL_SECONDS)
    if state is None:
        raise UserError(f"The supervisor ended; its log is {layout.log('supervisor')}.")
    return state


def restart(layout: Layout, name: str, patience: float) -> None:
    """End a server's process and wait until the supervisor's next one of it answers.

    Raises:
        UserError: no such server runs, or it did not come back within ``patience`` seconds.
    """
    before = _server(layout, name)
    known = before.process if before else None
    process = known.process() if known else None
    if process is None:
        raise UserError(f"The server {name} does not run here.")
    process.terminate()
    deadline = time.monotonic() + patience
    while (now := _server(layout, name)) is None or now.condition != "ready" or now.process == known:
        if time.monotonic() > deadline:
            raise UserError(f"{name} did not come back in {patience:.0f} s; its log is {layout.log(name)}.")
        time.sleep(POLL_SECONDS)


def _server(layout: Layout, name: str) -> ServerState | None:
    state = running(layout)
    return next((server for server in state.servers if server.name == name), None) if state else None


def stop(layout: Layout, patience: float) -> bool:
    """Stop everything of this stack, a supervisor's orphans included; whether there was anything to stop."""
    state = read_state(layout.state)
    if state is None:
        return False
    supervisor = state.supervisor.process()
    if supervisor is not None:
        supervisor.terminate()
        deadline = time.monotonic() + patience * 2 + 5
        while state.supervisor.process() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if left := state.supervisor.process():
            left.kill()
        state = read_state(layout.state) or state
    orphans = {server.process.pid for server in state.servers if server.process and server.process.process()}
    stop_groups(dict.fromkeys(orphans, signal.SIGTERM), patience)
    return supervisor is not None or bool(orphans)
