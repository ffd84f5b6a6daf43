"""Process groups end as a whole; logs are emptied under their writers."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stack.log_view import tail
from stack.processes import group_members, launch, rotate, stop_groups

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "server.log"


def test_a_groups_children_end_with_it(log: Path) -> None:
    process = launch(("sh", "-c", "sleep 600 & sleep 600 & wait"), {}, log)
    while len(group_members({process.pid})) < 3:
        assert process.poll() is None
    stop_groups({process.pid: signal.SIGTERM}, patience=5)
    assert group_members({process.pid}) == []
    assert process.wait() == -signal.SIGTERM


def test_a_process_that_ignores_term_is_killed(log: Path) -> None:
    process = launch((sys.executable, "-c", STUBBORN), {}, log)
    while "up" not in log.read_text():
        assert process.poll() is None
    stop_groups({process.pid: signal.SIGTERM}, patience=0.1)
    assert process.wait() == -signal.SIGKILL


def test_the_orphans_of_a_dead_leader_are_found(log: Path) -> None:
    process = launch(("sh", "-c", "sleep 600 & echo up; exec sleep 0"), {}, log)
    process.wait()
    assert len(group_members({process.pid})) == 1
    stop_groups({process.pid: signal.SIGTERM}, patience=5)
    assert group_members({process.pid}) == []


def test_stopping_what_is_gone_already_is_no_error(log: Path) -> None:
    process = launch(("true",), {}, log)
    process.wait()
    stop_groups({process.pid: signal.SIGTERM}, patience=0.1)


def test_a_small_log_is_left_alone(log: Path) -> None:
    log.parent.mkdir()
    log.write_text("short\n")
    rotate(log, limit_bytes=100, keep=2)
    assert log.read_text() == "short\n"


def test_a_rotated_log_keeps_its_writer(log: Path) -> None:
    log.parent.mkdir()
    with log.open("ab", buffering=0) as output:
        for text in (b"first\n", b"second\n", b"third\n"):
            subprocess.run(["printf", text], stdout=output, check=True)
            rotate(log, limit_bytes=3, keep=2)
        subprocess.run(["printf", b"last\n"], stdout=output, check=True)
    assert log.read_text() == "last\n"
    assert log.with_name("server.log.1").read_text() == "third\n"
    assert log.with_name("server.log.2").read_text() == "second\n"
    assert not log.with_name("server.log.3").exists()


def test_a_log_that_does_not_exist_is_not_rotated(log: Path) -> None:
    rotate(log, limit_bytes=1, keep=1)
    assert not log.exists()


def test_the_end_of_a_log_is_its_last_lines(log: Path) -> None:
    log.parent.mkdir()
    log.write_text("a\nb\nc\n")
    assert tail(log, 2) == ["b", "c"]
