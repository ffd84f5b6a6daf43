"""What still waits in the backlog of fan-out, as the running job tells it over REST."""

from __future__ import annotations

from stack.readiness import get_json


def entries_waiting(rest: str, title: str) -> int:
    """Items in the backlog of the ``timelines`` job of that title; 0 where none runs.

    Args:
        rest: the address of Flink's REST interface with its scheme.

    Raises:
        OSError: Flink does not answer.
    """
    total = 0.0
    jobs = get_json(f"{rest}/jobs/overview", timeout=10)["jobs"]
    for job in (job["jid"] for job in jobs if job["state"] == "RUNNING" and job["name"] == title):
        for vertex in get_json(f"{rest}/jobs/{job}", timeout=10)["vertices"]:
            metrics = f"{rest}/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
            names = [known["id"] for known in get_json(metrics, timeout=10)]
            for name in (name for name in names if name.endswith(".waiting")):
                total += sum(found["sum"] for found in get_json(f"{metrics}?get={name}", timeout=10))
    return int(total)
