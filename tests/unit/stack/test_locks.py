"""One process at a time: who comes second waits, and is told for whom."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from stack.locks import exclusive
from stack.offline_tables import LOCK

# A command imports for long on a busy machine.
pytestmark = pytest.mark.timeout(120)

HOLDS = """
import sys
from pathlib import Path
from stack.locks import exclusive
with exclusive(Path(sys.argv[1]), "`tideline features build` (process 7)"):
    print("inside", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process is inside; it leaves with its standard input, and at the latest with the block."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "inside\n"
        yield other
    finally:
        other.stdin.close()
        other.wait()
        other.stdout.close()


def test_who_comes_second_is_told_who_is_inside_and_enters_when_it_leaves(tmp_path: Path) -> None:
    lock, told = tmp_path / "below" / LOCK, []
    with held(lock) as other:

        @contextmanager
        def waiting(who: str) -> Iterator[None]:
            told.append(who)
            assert other.stdin is not None
            other.stdin.close()
            yield

        with exclusive(lock, "me", waiting):
            assert other.wait() == 0
    assert told == ["`tideline features build` (process 7)"]
    with exclusive(lock, "me", waiting):
        assert len(told) == 1


def test_a_process_that_is_killed_leaves(tmp_path: Path) -> None:
    with held(tmp_path / LOCK) as other:
        other.kill()
        with exclusive(tmp_path / LOCK):
            pass


def test_who_is_inside_may_go_further_in_and_another_thread_may_not(tmp_path: Path) -> None:
    lock, order = tmp_path / LOCK, []

    def enter() -> None:
        with exclusive(lock, waiting=noted):
            order.append("the other thread")

    @contextmanager
    def noted(who: str) -> Iterator[None]:
        order.append(f"waits for {who}")
        yield

    with exclusive(lock, "me"):
        with exclusive(Path(os.path.relpath(lock)), "me again"):
            order.append("further in")
        outside = Thread(target=enter)
        outside.start()
        while len(order) < 2:
            outside.join(0.01)
        order.append("me")
    outside.join()
    assert order == ["further in", "waits for me", "me", "the other thread"]


@pytest.mark.parametrize("command", ["features materialize", "features doctor", "train"])
def test_a_command_that_uses_the_offline_tables_waits_for_one_that_does(command: str, tmp_path: Path) -> None:
    env = os.environ | {
        "TIDELINE_HOME": str(tmp_path),
        "TIDELINE_FEATURES__OFFLINE": str(tmp_path / "offline"),
        "TIDELINE_FEATURES__QUALITY": str(tmp_path / "quality"),
        "TIDELINE_FEATURES__REGISTRY": str(tmp_path / "registry.db"),
    }
    with held(tmp_path / "offline" / LOCK) as other:
        second = subprocess.Popen(
            [sys.executable, "-m", "stack.cli", *command.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        assert second.stderr is not None
        line = second.stderr.readline()
        assert line == (
            "Waiting for `tideline features build` (process 7), which uses the same offline tables.\n"
        )
        assert second.poll() is None
        assert other.stdin is not None
        other.stdin.close()
        out, err = second.communicate()
    assert second.returncode == 1, out + err
    assert "run `tideline features build` first" in err
