"""Entry point of every stream job: ``flink run -d -py pipelines/submit.py <job>``.

Flink puts the folder of the entry file on the import path, and ``pipelines/stream/timelines.py`` would
hide the package ``timelines``; so jobs are started by name from here, one folder up.
"""

from __future__ import annotations

import importlib
import sys

from pipelines.jobs import JOB_TOPICS

JOBS = tuple(JOB_TOPICS)


def main(arguments: list[str]) -> None:
    """Run the ``main`` of the named job, which reads its settings from the environment.

    One job a process: the planner numbers what it plans, and the numbers are in the uids of the state.
    """
    if len(arguments) != 1 or arguments[0] not in JOBS:
        raise SystemExit(f"Name one job: {', '.join(JOBS)}.")
    importlib.import_module(f"pipelines.stream.{arguments[0]}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
