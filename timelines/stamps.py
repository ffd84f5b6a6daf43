"""Cheap looks at many timelines: which of them changed since the last look."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from timelines.commands import KEYS_PER_CALL
from timelines.keys import Keyspace


async def stamps(
    redis: Any, keys: Keyspace, kind: Literal["home", "outbox"], owners: Sequence[int]
) -> list[bytes]:
    """For each owner a few bytes that are others after each change of the timeline, and now and then
    although nothing changed. One round trip; nothing is rebuilt, and no timeline lives longer for it.

    Raises:
        redis.exceptions.RedisError: the store did not answer.
    """
    if not owners:
        return []
    ids = np.asarray(owners, dtype=np.int64)
    order = np.argsort(ids % keys.partitions, kind="stable")
    partitions = ids[order] % keys.partitions
    edges = [0, *(np.flatnonzero(partitions[1:] != partitions[:-1]) + 1).tolist(), len(ids)]
    names = keys.keys(kind, ids[order].tolist())
    pipe = redis.pipeline(transaction=False)
    for low, high in pairwise(edges):
        for start in range(low, high, KEYS_PER_CALL):
            some = names[start : min(start + KEYS_PER_CALL, high)]
            pipe.fcall("stamps", len(some), *some)
    found = [stamp for answer in await pipe.execute() for stamp in answer]
    placed = [b""] * len(ids)
    for at, stamp in zip(order.tolist(), found, strict=True):
        placed[at] = stamp
    return placed
