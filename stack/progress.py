"""What a long command shows while it works: the step under way, and since when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def steps(first: str, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Shows ``first`` on standard error, then what the yielded function is told; nothing if ``quiet``."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(first, total=None)
        yield lambda step: progress.update(task, description=step)
