"""The API once more, reading other projections, for as long as they are compared."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stack.errors import UserError
from stack.plan import Plan
from stack.ports import free_port
from stack.processes import launch, stop_groups
from stack.servers import api
from stack.state import ProcessRef
from timelines.settings import Projections

POLL_SECONDS = 0.2


@contextmanager
def second_api(plan: Plan, namespace: str, projections: Projections) -> Iterator[str]:
    """The address of a worker of its own that reads these projections; it ends with the block.

    Raises:
        UserError: it does not answer.
    """
    ports = plan.ports | {"api": free_port()}
    stack = plan.stack.model_copy(update={"api_workers": 1})
    server = api.server(plan.model_copy(update={"ports": ports, "stack": stack}))
    named = {f"TIDELINE_PROJECTIONS__{job.upper()}": name for job, name in projections}
    with tempfile.TemporaryDirectory(prefix="tideline-metrics-") as metrics:
        env = {
            **server.env,
            "TIDELINE_HOME": str(plan.home),
            "TIDELINE_NAMESPACE": namespace,
            "PROMETHEUS_MULTIPROC_DIR": metrics,
            **named,
        }
        log, place = plan.layout.log("second-api"), plan.layout.run / "second-api.json"
        _end_that_of_a_dead_run(place, plan.stack.stop_seconds)
        process = launch(server.command, env, log)
        place.write_bytes(msgspec.json.encode(ProcessRef.of(process.pid)))
        try:
            deadline = time.monotonic() + plan.stack.start_seconds
            while not server.ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"The API to compare with does not answer; its log is {log}.")
                time.sleep(POLL_SECONDS)
            yield server.address
        finally:
            stop_groups({process.pid: signal.SIGTERM}, plan.stack.stop_seconds)
            process.wait()
            place.unlink(missing_ok=True)


def _end_that_of_a_dead_run(place: Path, patience: float) -> None:
    if place.exists():
        left = msgspec.json.decode(place.read_bytes(), type=ProcessRef | None)
        if left is not None and left.process() is not None:
            stop_groups({left.pid: signal.SIGTERM}, patience)
