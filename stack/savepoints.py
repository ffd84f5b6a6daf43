"""Savepoints and checkpoints of running jobs, over Flink's REST interface."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlparse

from stack.errors import UserError
from stack.readiness import get_json

POLL_SECONDS = 0.2
METADATA = "_metadata"


def take(rest: str, job_id: str, folder: Path, *, stop: bool, patience: float) -> Path:
    """Write a savepoint below ``folder`` in the format that any parallelism and state backend can read.

    With ``stop`` the job ends with it: what it wrote and where it stood are then the same moment.

    Raises:
        UserError: Flink refused, or did not finish within ``patience`` seconds.
    """
    ask = {"formatType": "CANONICAL"}
    if stop:
        started = _post(
            f"{rest}/jobs/{job_id}/stop", {**ask, "targetDirectory": folder.as_uri(), "drain": False}
        )
    else:
        started = _post(f"{rest}/jobs/{job_id}/savepoints", {**ask, "target-directory": folder.as_uri()})
    deadline = time.monotonic() + patience
    while True:
        answer = get_json(f"{rest}/jobs/{job_id}/savepoints/{started}", timeout=10)
        if answer["status"]["id"] == "COMPLETED":
            break
        if time.monotonic() > deadline:
            raise UserError(f"The savepoint was not complete after {patience:.0f} s.")
        time.sleep(POLL_SECONDS)
    operation = answer["operation"]
    if "location" not in operation:
        raise UserError(f"Flink took no savepoint: {_cause(operation['failure-cause']['stack-trace'])}.")
    return local_path(operation["location"])


def checkpoint(rest: str, job_id: str) -> None:
    """Ask for a checkpoint now, ahead of the next that is due; it completes later, if it does.

    Raises:
        UserError: Flink does not answer, or does not know the job.
    """
    _post(f"{rest}/jobs/{job_id}/checkpoints", {"checkpointType": "CONFIGURED"})


def local_path(location: str) -> Path:
    """The folder that a ``file:`` URI or a path means."""
    return Path(unquote(urlparse(location).path)) if location.startswith("file:") else Path(location)


def newest(folder: Path) -> Path | None:
    """The complete savepoint in or below a folder that was written last."""
    found = list(folder.rglob(METADATA))
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None


def _post(url: str, body: dict[str, object]) -> str:
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(json.loads(answer.read())["request-id"])
    except urllib.error.HTTPError as error:
        raise UserError(f"Flink refused: {_cause(error.read().decode())}.") from error
    except OSError as error:
        raise UserError(f"Flink does not answer at {url.rpartition('/jobs/')[0]}.") from error


def _cause(trace: str) -> str:
    """The innermost reason in a stack trace, without the name of its class."""
    lines = trace.splitlines()
    causes = [line for line in lines if line.startswith("Caused by: ")] or lines[:1]
    return causes[-1].removeprefix("Caused by: ").partition(": ")[2].rstrip(".") or causes[-1]
