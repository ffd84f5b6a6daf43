"""Reads gathered for one round trip: keys of one partition go in one MGET, all commands in one pipeline."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from features.connections import in_order, queue_reads
from timelines.keys import Keyspace

logger = logging.getLogger(__name__)

V = TypeVar("V")


class Batch:
    """Each read is handed out as a place in the answer of :meth:`execute`."""

    def __init__(self, redis: Any, keys: Keyspace) -> None:
        self.keys = keys
        self._pipe = redis.pipeline(transaction=False)
        self._commands = 0

    def __len__(self) -> int:
        return self._commands

    def command(self) -> Any:
        """The pipeline, for exactly one command, whose answer has the place before ``len(self)``."""
        self._commands += 1
        return self._pipe

    def values(self, kind: str, ids: Sequence[int]) -> Values:
        """Queues the values of many entities: one MGET, on a cluster one per partition."""
        first, partitions = self._commands, [self.keys.partition(entity) for entity in ids]
        groups = queue_reads(self._pipe, self.keys.keys(kind, ids), partitions)
        self._commands += len(groups)
        return Values(first, groups)

    async def execute(self) -> list[Any]:
        answers: list[Any] = await self._pipe.execute() if self._commands else []
        return answers


@dataclass(frozen=True, slots=True)
class Values:
    """Where the values of some entities are: from command ``first`` on, for each the places of its keys."""

    first: int
    groups: Sequence[Sequence[int]]

    def of(self, answers: Sequence[Any]) -> Sequence[bytes | None]:
        """The values in the order asked for."""
        return in_order(self.groups, answers[self.first : self.first + len(self.groups)])


def readable(decode: Callable[[bytes | None], V | None], stored: bytes | None) -> V | None:
    """The decoded value; None, and a line in the log, for what cannot be decoded: the page has others."""
    try:
        return decode(stored)
    except (msgspec.DecodeError, struct.error) as error:
        logger.warning("A stored value cannot be read (%s); it counts as absent: %.80r", error, stored)
        return None
