"""What a dataset is: recordings of some span, and the events that happened in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from typing import Protocol

from ingestion.events import Event


class DatasetError(ValueError):
    """The files of a dataset are not what its reader needs; one sentence says what is wrong."""


@dataclass(frozen=True)
class Recording:
    """A stretch of recorded time that a replay moves as a whole; milliseconds UTC, both ends included.

    Events before ``first_ms`` (accounts, follows, referenced originals) set the scene: they are not paced.
    """

    name: str
    first_ms: int
    last_ms: int


@dataclass(frozen=True)
class Staged:
    """An event in its recorded time and the recording it belongs to."""

    recording: str
    event: Event


class Dataset(Protocol):
    """A dataset opened for reading; its files are taken as they are."""

    @property
    def name(self) -> str: ...

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """At least one; their order is the order of their names in time."""
        ...

    @property
    def size(self) -> int:
        """The number of events (exact, for the progress bar)."""
        ...

    def events(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        """The events in order of event time, made as they are asked for.

        Accounts and follows come before the acts of their recording. Ids (of events too) depend on the
        recorded time only, so that every replay gives the same ones.

        Args:
            shift_ms: per recording, what is added to each event time.
        """
        ...


def in_time_order(*streams: Iterable[Event]) -> Iterator[Event]:
    """Streams that are each in event-time order as one; at the same millisecond the earlier stream first."""
    return merge(*streams, key=_event_time)


def _event_time(event: Event) -> int:
    return event.ts
