"""Delivering to home timelines from a stream job: many entries to many readers, in two steps on one server.

To one server the entries go as plain APPENDs, one per timeline; within a server-side function each of them
costs about three times as much. The lengths that come back tell which tails have to be looked at: those that
did not exist, and so are no timelines, and those that are due to be settled. The function ``deliver``, given
nothing to append, deals with these. Between the two steps a reader sees what was appended, or no timeline.
A cluster gets the function alone.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import hiredis
import numpy as np
import numpy.typing as npt
import redis

from timelines import commands
from timelines.entry import Entries, Ids
from timelines.keys import TAIL, Keyspace
from timelines.settings import TimelineSettings
from timelines.timeline import tail_limits

APPENDS_AT_ONCE = 1000
"""The server begins with the first ones while the next are packed."""


def deliver(
    client: Any,
    keys: Keyspace,
    settings: TimelineSettings,
    readers: Ids,
    entries: Entries,
    *,
    again: bool = False,
) -> int:
    """Push ``entries[i]`` to the home timeline of ``readers[i]``, where that timeline exists.

    Args:
        client: synchronous, from :func:`timelines.client.open_client`.
        readers: int64 [n].
        entries: ENTRY_DTYPE [n]; write each to its author's outbox before.
        again: the same may have been delivered before, by somebody who ended between the two steps: all
            tails are looked at.

    Returns:
        How many timelines were written.

    Raises:
        redis.exceptions.RedisError: the store did not answer or refused; deliver all of it again.
    """
    if not isinstance(client, redis.Redis):
        pipe = client.pipeline(transaction=False)
        commands.deliver(pipe, keys, settings, readers, entries)
        return sum(pipe.execute())
    owned = commands.by_owner(keys, "home", TAIL, readers, entries)
    if not len(owned.owners):
        return 0
    lengths, repeated = _append(client, owned.names, owned.blobs)
    absent = lengths == np.fromiter(map(len, owned.blobs), dtype=np.int64, count=len(lengths))
    due = absent | (lengths > tail_limits(owned.owners, settings.slack)) | again | repeated
    written = int((~due).sum())
    if due.any():
        pipe = client.pipeline(transaction=False)
        commands.look_over(pipe, keys, settings, owned.owners[due])
        written += sum(pipe.execute())
    return written


def _append(client: redis.Redis, names: list[str], blobs: list[bytes]) -> tuple[npt.NDArray[np.int64], bool]:
    """The lengths of the strings after each was appended to, int64 [n]; whether some may have been twice."""
    connection = client.connection_pool.get_connection()
    pack: Any = hiredis.pack_command  # its stub takes one-element tuples
    failures: list[Exception] = []

    def attempt() -> list[int]:
        for start in range(0, len(names), APPENDS_AT_ONCE):
            part = slice(start, start + APPENDS_AT_ONCE)
            appends = zip(repeat("APPEND"), names[part], blobs[part], strict=False)
            connection.send_packed_command([b"".join([pack(append) for append in appends])])
        return _numbers(connection, len(names))

    def failed(error: Exception) -> None:
        failures.append(error)
        connection.disconnect()

    try:
        lengths = connection.retry.call_with_retry(attempt, failed)
        return np.array(lengths, dtype=np.int64), bool(failures)
    except BaseException:
        connection.disconnect()  # answers that nobody has read
        raise
    finally:
        client.connection_pool.release(connection)


def _numbers(connection: Any, count: int) -> list[int]:
    """So many answers; redis-py's own ``read_response`` takes longer for each than the server to append."""
    parser = connection._parser
    next_answer = parser._reader.gets
    numbers: list[int] = []
    while len(numbers) < count:
        answer = next_answer()
        if isinstance(answer, int):
            numbers.append(answer)
        elif isinstance(answer, Exception):
            raise answer
        else:  # the reader has no whole answer
            parser.read_from_socket()
    return numbers
