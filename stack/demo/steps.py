"""The demo's steps run the same commands that a person would, and read the JSON that they print last."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from stack.demo.report import DemoReport
from stack.errors import UserError


def tideline(*arguments: str) -> str:
    """Run one `tideline` command and return what it printed; its progress goes to the terminal.

    Raises:
        UserError: the command failed; its own sentence has been printed.
    """
    outcome = _run(arguments)
    if outcome.returncode != 0:
        raise UserError(f"The demo stopped at `tideline {' '.join(arguments)}`.")
    return outcome.stdout


def tideline_json(*arguments: str, may_refuse: bool = False) -> dict[str, Any]:
    """The JSON object that a command prints last.

    With ``may_refuse``, exit code 1 after the object is an answer too: the command says no, with its figures.

    Raises:
        UserError: the command failed; its own sentence has been printed.
    """
    outcome = _run((*arguments, "--json"))
    lines = outcome.stdout.strip().splitlines()
    if not lines or (outcome.returncode != 0 and not may_refuse):
        raise UserError(f"The demo stopped at `tideline {' '.join(arguments)}`.")
    last: dict[str, Any] = json.loads(lines[-1])
    return last


def _run(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stack.cli", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603


@contextmanager
def step(report: DemoReport, console: Console, name: str, title: str) -> Iterator[None]:
    """Announce a step and keep its seconds in the report."""
    console.print(f"[bold cyan]{len(report.step_seconds) + 1}.[/] {title}")
    started = time.monotonic()
    yield
    report.step_seconds[name] = round(time.monotonic() - started, 1)
    console.print(f"   [dim]{report.step_seconds[name]:.1f} s[/]")
