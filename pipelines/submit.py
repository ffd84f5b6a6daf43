"""Entry point of the stream jobs: ``flink run -d -py pipelines/submit.py <job>[@<projection>][=<from>] ...``.

Flink puts the folder of the entry file on the import path, and ``pipelines/stream/timelines.py`` would
hide the package ``timelines``; so jobs are started by name from here, one folder up. One client submits
several jobs: starting it takes longer than submitting one.
"""

from __future__ import annotations

import importlib
import os
import sys

from pipelines.jobs import JOB_TOPICS
from timelines.settings import PROJECTIONS

RESTORE_FROM = "TIDELINE_FLINK__RESTORE_FROM"
PROJECTION_OF = "TIDELINE_PROJECTIONS__"


def main(arguments: list[str]) -> None:
    """Run the ``main`` of each named job; it reads its settings from the environment.

    A job named with a checkpoint starts from it, one named with a projection writes that. The first job that
    is refused ends the client.
    """
    jobs = [(*title.partition("@")[::2], at) for title, _, at in (word.partition("=") for word in arguments)]
    if not jobs or any(name not in JOB_TOPICS for name, _, _ in jobs):
        raise SystemExit(f"Name one job or more: {', '.join(JOB_TOPICS)}.")
    for name, projection, checkpoint in jobs:
        os.environ[RESTORE_FROM] = checkpoint
        if name in PROJECTIONS:
            os.environ[PROJECTION_OF + name.upper()] = projection
        importlib.import_module(f"pipelines.stream.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
