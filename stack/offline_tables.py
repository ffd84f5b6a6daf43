"""The offline tables of a namespace, with their registry and the results of their checks, are one command's at
a time: builds replace what others read, and so does a join of the training frame, whoever asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import typer

from features.settings import HasFeatureStore
from features.store import offline_folder
from stack.locks import exclusive
from stack.progress import steps

LOCK = ".lock"


def offline_tables(settings: HasFeatureStore, command: str, quiet: bool = False) -> AbstractContextManager[None]:
    """Inside the block, no other command uses them; waits for one that does, and says so on standard error.

    Args:
        command: this one, as it is typed.
        quiet: without a clock while it waits.
    """

    @contextmanager
    def waiting(other: str) -> Iterator[None]:
        typer.echo(f"Waiting for {other or 'another command'}, which uses the same offline tables.", err=True)
        with steps(f"{command} waits", quiet):
            yield

    who = f"`{command}` (process {os.getpid()})"
    return exclusive(offline_folder(settings) / LOCK, who, waiting)
