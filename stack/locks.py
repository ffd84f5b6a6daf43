"""One process at a time, by a lock on a file that the system releases when the process ends."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

_inside: ContextVar[frozenset[Path]] = ContextVar("inside", default=frozenset())


@contextmanager
def exclusive(
    path: Path,
    who: str = "",
    waiting: Callable[[str], AbstractContextManager[object]] = lambda who: nullcontext(),
) -> Iterator[None]:
    """Waits until nobody else is inside a block with this path.

    Who is inside already, further out on the same stack of calls, does not wait.

    Args:
        who: what those who wait are told, one line.
        waiting: given what the one inside said of itself, makes the block in which the wait is spent; it is
            not asked where there is no wait.
    """
    path = path.resolve()
    if path in _inside.get():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            with waiting(file.read().strip()):
                fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(who)
        file.flush()
        outside = _inside.set(_inside.get() | {path})
        try:
            yield
        finally:
            _inside.reset(outside)
