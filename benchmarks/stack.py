"""A local stack of the benchmark's own: servers on free ports, data in a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack.plan import Plan

NAMESPACE = "bench"


@contextmanager
def running_stack(servers: Sequence[str], jobs: Sequence[str], **sizes: int) -> Iterator[Plan]:
    """The servers with these stream jobs; stopped, and their data deleted, when the block ends.

    ``sizes`` are fields of ``StackSection``.

    Raises:
        UserError: the stack does not start.
    """
    from stack import lifecycle
    from stack.bring_up import bring_up
    from stack.jobs import JobControl, stream_jobs
    from stack.settings import Ports, StackSection, StackSettings

    with tempfile.TemporaryDirectory(prefix="tideline-bench-") as folder, _home(folder):
        ports = Ports(**dict.fromkeys(Ports.model_fields, 0))
        section = StackSection(ports=ports, **sizes)
        settings = StackSettings(home=Path(folder), stack=section)
        try:
            plan = bring_up(settings, NAMESPACE, tuple(servers), (), False, lambda line: None)
            if jobs:
                JobControl(plan).submit(stream_jobs(NAMESPACE, jobs))
            yield plan
        finally:
            lifecycle.stop(lifecycle.layout_of(settings), 10)


@contextmanager
def _home(folder: str) -> Iterator[None]:
    """Every process of the stack reads its settings there."""
    before = os.environ.get("TIDELINE_HOME")
    os.environ["TIDELINE_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIDELINE_HOME"]
        else:
            os.environ["TIDELINE_HOME"] = before
