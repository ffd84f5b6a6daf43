"""The offline tables of a namespace, Feast's registry and the results of checks, for one command at a time.

Builds replace what others read, and so does a join of the training frame, whoever asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import typer

from features.settings import HasFeatureStore
from features.store import offline_folder
from stack.locks import exclusive
from stack.progress import steps

LOCK = ".lock"
Announce = Callable[[str], None]


def offline_tables(
    settings: HasFeatureStore, command: str, quiet: bool = False, announce: Announce | None = None
) -> AbstractContextManager[None]:
    """Inside the block, no other command uses them; waits for one that does, and says so on standard error.

    Args:
        command: this one, as it is typed.
        quiet: without a clock while it waits.
        announce: where steps are shown already, what shows them.
    """

    @contextmanager
    def waiting(other: str) -> Iterator[None]:
        told = f"Waiting for {other or 'another command'}, which uses the same offline tables."
        typer.echo(told, err=True)
        if announce is not None:
            announce("waiting for the offline tables")
            yield
            announce("reading the offline tables")
        else:
            with steps("waiting", quiet):
                yield

    who = f"`{command}` (process {os.getpid()})"
    return exclusive(offline_folder(settings) / LOCK, who, waiting)
