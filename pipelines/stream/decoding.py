"""From record batches to typed events; what is not an event becomes a dead letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from pyflink.common import Types
from pyflink.datastream import OutputTag

from ingestion.dead_letters import DeadLetter
from ingestion.events import AnyEvent, MalformedEventError, decode

DEAD_LETTERS = OutputTag("dead-letters", Types.STRING())


class Batch(Protocol):
    """A row of ``connectors.BATCH``: parallel arrays of the records of one topic and shard."""

    def __getitem__(self, index: int) -> Any: ...


class Decoded(NamedTuple):
    """``letters`` are JSON strings for the dead-letter topic."""

    shard: int
    events: list[AnyEvent]
    letters: list[str]


def decode_batch(batch: Batch, unfit: Callable[[AnyEvent], str | None] | None = None) -> Decoded:
    """The events of a batch in their order, and a dead letter for each record that is none.

    ``unfit`` may give a reason why a well-formed event cannot be used.
    """
    shard, topic, values, partitions, offsets = (batch[index] for index in range(5))
    events: list[AnyEvent] = []
    letters: list[str] = []
    for index, value in enumerate(values):
        try:
            event = decode(value or b"")
            reason = unfit(event) if unfit else None
        except MalformedEventError as error:
            reason = str(error)
        if reason is None:
            events.append(event)
        else:
            letter = DeadLetter(reason, topic, partitions[index], offsets[index], value or b"")
            letters.append(letter.encode())
    return Decoded(shard, events, letters)
