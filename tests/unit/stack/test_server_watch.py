"""One server's life, with a clock and processes of the test's own."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future
from typing import cast

import pytest

from stack.readiness import Check
from stack.server import Server
from stack.watch import FIRST_BACKOFF, SETTLED, StartError, Watch


class Process:
    """A process whose end the test decides."""

    pid = 2**22 + 1

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


class Machine:
    """Launches processes and answers questions as told."""

    def __init__(self) -> None:
        self.answers = False
        self.started: list[Process] = []
        self.ended: list[Process] = []

    def launch(self, server: Server) -> subprocess.Popen[bytes]:
        self.started.append(Process())
        return cast("subprocess.Popen[bytes]", self.started[-1])

    def ask(self, check: Check) -> Future[bool]:
        answer: Future[bool] = Future()
        answer.set_result(self.answers)
        return answer

    def end(self, process: subprocess.Popen[bytes]) -> None:
        self.ended.append(cast(Process, process))


@pytest.fixture
def machine() -> Machine:
    return Machine()


def watch(machine: Machine, after: tuple[str, ...] = ()) -> Watch:
    server = Server("kafka", ("kafka",), "127.0.0.1:1", ready=lambda: machine.answers, after=after)
    return Watch(server, machine.launch, machine.ask, machine.end, start_seconds=10)


def make_ready(watched: Watch, machine: Machine, now: float = 0.0) -> None:
    machine.answers = True
    watched.tick(now, set())
    watched.tick(now, set())
    assert watched.condition == "ready"


def test_a_server_waits_for_those_it_needs(machine: Machine) -> None:
    watched = watch(machine, after=("valkey",))
    watched.tick(0, {"mlflow"})
    assert machine.started == []
    watched.tick(0, {"mlflow", "valkey"})
    assert len(machine.started) == 1


def test_a_server_is_ready_when_it_answers(machine: Machine) -> None:
    watched = watch(machine)
    watched.tick(0, set())
    watched.tick(1, set())
    assert watched.condition == "starting"
    machine.answers = True
    watched.tick(2, set())
    assert watched.condition == "ready"


def test_a_first_start_that_ends_is_an_error_that_names_the_server(machine: Machine) -> None:
    watched = watch(machine)
    watched.tick(0, set())
    machine.started[0].code = 3
    with pytest.raises(StartError, match="kafka ended with code 3"):
        watched.tick(1, set())


def test_a_first_start_that_takes_too_long_is_an_error(machine: Machine) -> None:
    watched = watch(machine)
    watched.tick(0, set())
    with pytest.raises(StartError, match="kafka did not answer within 10 s"):
        watched.tick(11, set())


def test_a_server_that_dies_is_started_again_after_a_pause(machine: Machine) -> None:
    watched = watch(machine)
    make_ready(watched, machine)
    machine.started[0].code = -9
    watched.tick(5, set())
    assert watched.condition == "restarting"
    watched.tick(5 + FIRST_BACKOFF / 2, set())
    assert len(machine.started) == 1
    watched.tick(5 + FIRST_BACKOFF, set())
    assert len(machine.started) == 2
    assert watched.restarts == 1


def test_what_is_left_of_a_dead_servers_group_is_ended_before_it_starts_again(machine: Machine) -> None:
    watched = watch(machine)
    make_ready(watched, machine)
    machine.started[0].code = -9
    watched.tick(5, set())
    assert machine.ended == [machine.started[0]]


def test_the_pause_grows_while_a_server_keeps_dying(machine: Machine) -> None:
    watched = watch(machine)
    make_ready(watched, machine)
    now, pauses = 1.0, []
    for _ in range(4):
        machine.started[-1].code = 1
        watched.tick(now, set())
        began = now
        while watched.popen is None:
            now += 0.25
            watched.tick(now, set())
        pauses.append(now - began)
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_server_that_had_settled_starts_again_at_once(machine: Machine) -> None:
    watched = watch(machine)
    make_ready(watched, machine)
    now = 1.0
    for _ in range(3):
        machine.started[-1].code = 1
        watched.tick(now, set())
        now += 10
        watched.tick(now, set())
        watched.tick(now, set())
    machine.started[-1].code = 1
    now += SETTLED + 1
    watched.tick(now, set())
    watched.tick(now + FIRST_BACKOFF, set())
    assert watched.popen is not None


def test_a_restart_that_hangs_is_ended_and_tried_again(machine: Machine) -> None:
    watched = watch(machine)
    make_ready(watched, machine)
    machine.answers = False
    machine.started[0].code = -9
    watched.tick(1, set())
    watched.tick(2, set())
    watched.tick(13, set())
    assert machine.ended == machine.started
    watched.tick(20, set())
    assert len(machine.started) == 3


def test_a_reload_ends_the_process_and_starts_another(machine: Machine) -> None:
    watched = watch(machine)
    make_ready(watched, machine)
    watched.again(3)
    watched.tick(3, set())
    watched.tick(3, set())
    assert machine.ended == [machine.started[0]]
    assert watched.condition == "ready"
    assert watched.restarts == 0
