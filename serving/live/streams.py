"""The open streams of a worker: by reader, and by the authors and tweets whose changes concern them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from serving.live.connection import Connection, Ending, EventName, frame
from serving.live.metrics import LiveMetrics
from serving.live.settings import LiveSection
from timelines.entry import Ids

NOBODY: Ids = np.empty(0, dtype=np.int64)


class TooManyStreamsError(RuntimeError):
    """No other stream can be opened; ``status`` is 429 for the reader's own limit, 503 for the worker's."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Watch:
    """A reader with open streams.

    ``followees`` int64 ascending, ``pulled`` those of them who are read from their outboxes; ``shown`` the
    newest tweets, each with its author, and ``untold`` those whose counts may have changed since the client
    read them; ``looks`` counts the reads that did not find all that is new.
    """

    __slots__ = ("connections", "followees", "looks", "pulled", "reader", "shown", "untold")

    def __init__(self, reader: int) -> None:
        self.reader = reader
        self.connections: set[Connection] = set()
        self.followees: Ids = NOBODY
        self.pulled: frozenset[int] = frozenset()
        self.shown: dict[int, int] = {}
        self.untold: set[int] = set()
        self.looks = 0


class Index:
    """Which readers a change of an author's outbox or a tweet's counts concerns."""

    def __init__(self) -> None:
        self._watches: dict[int, set[Watch]] = {}

    def __iter__(self) -> Iterator[int]:
        return iter(self._watches)

    def concerned(self, entity: int) -> set[Watch]:
        return self._watches.get(entity, set())

    def move(self, watch: Watch, before: set[int] | frozenset[int], after: set[int] | frozenset[int]) -> None:
        """Enter a reader under other ids than before."""
        for entity in after - before:
            self._watches.setdefault(entity, set()).add(watch)
        for entity in before - after:
            watches = self._watches[entity]
            watches.discard(watch)
            if not watches:
                del self._watches[entity]


class Streams:
    """Opens and ends streams within the limits of the settings.

    ``due`` are the readers to be read next; ``pulled`` the authors merged at read, int64 ascending.
    """

    def __init__(self, settings: LiveSection, metrics: LiveMetrics) -> None:
        self.watches: dict[int, Watch] = {}
        self.authors, self.tweets = Index(), Index()
        self.due: set[Watch] = set()
        self.pulled: Ids = NOBODY
        self._settings, self._metrics = settings, metrics
        self._open = 0
        self._closed = False

    def open(self, reader: int, since: int | None, now: float) -> Connection:
        """A stream that goes on after ``since`` or begins with what comes.

        Raises:
            TooManyStreamsError: the worker or the reader has all the streams that the settings allow.
        """
        settings, watch = self._settings, self.watches.get(reader)
        if self._closed or self._open >= settings.connections:
            raise TooManyStreamsError(503, "This server has no room for another stream at the moment.")
        if watch is not None and len(watch.connections) >= settings.per_reader:
            raise TooManyStreamsError(429, f"At most {settings.per_reader} streams at once are allowed.")
        watch = self.watches.setdefault(reader, Watch(reader))
        # Neither do all streams of a worker end together, nor do their clients come back together.
        spread = random.uniform(1.0, 1.5)  # noqa: S311
        connection = Connection(since, settings.queue_bytes, now, now + settings.longest_seconds / spread)
        connection.offer(b"retry: %d\n\n" % (settings.retry_ms * spread), now)
        watch.connections.add(connection)
        watch.untold.update(watch.shown)
        self.due.add(watch)
        self._open += 1
        self._metrics.open.inc()
        return connection

    def leave(self, reader: int, connection: Connection) -> None:
        """The stream has ended."""
        watch = self.watches[reader]
        watch.connections.discard(connection)
        self._open -= 1
        self._metrics.open.dec()
        self._metrics.ended.labels(connection.ending or "gone").inc()
        if not watch.connections:
            self.index(watch, NOBODY, {})
            self.due.discard(watch)
            del self.watches[reader]

    def index(self, watch: Watch, followees: Ids, shown: dict[int, int]) -> None:
        """Have a reader told of these accounts' and tweets' changes, if there are still streams."""
        if self.watches.get(watch.reader) is not watch:
            return
        pulled = frozenset(np.intersect1d(followees, self.pulled, assume_unique=True).tolist())
        self.authors.move(watch, watch.pulled, pulled)
        self.tweets.move(watch, set(watch.shown), set(shown))
        watch.untold.update(shown.keys() - watch.shown.keys())
        watch.followees, watch.pulled, watch.shown = followees, pulled, shown

    def connections(self) -> list[Connection]:
        return [connection for watch in self.watches.values() for connection in watch.connections]

    def offer(
        self,
        connection: Connection,
        now: float,
        event: EventName,
        *data: object,
        ids: list[int] | None = None,
    ) -> None:
        """Queue events of one kind, with the ids to resume from."""
        numbers: list[int] | list[None] = [None] * len(data) if ids is None else ids
        frames = [frame(event, some, number) for some, number in zip(data, numbers, strict=True)]
        if frames and connection.offer(b"".join(frames), now):
            self._metrics.events.labels(event).inc(len(frames))

    def finish(self, connection: Connection, ending: Ending, now: float) -> None:
        """End a stream after an event that says so."""
        if connection.ending is None:
            self.offer(connection, now, "end", {"reason": ending})
            connection.end(ending)

    def close(self, now: float) -> None:
        """End every stream; no other can be opened."""
        self._closed = True
        for connection in self.connections():
            self.finish(connection, "shutdown", now)
