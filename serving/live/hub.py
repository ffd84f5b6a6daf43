"""The streams of one worker: one task looks at the store for all connected readers.

Each round asks in a few round trips which home timelines, outboxes of pulled authors and counts changed, and
reads feeds only for the readers whom a change concerns. What it reads goes through the feed's filters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import numpy as np
from redis.exceptions import RedisError

from serving.archive import ArchiveUnavailableError
from serving.feed.chronological import FeedUnavailableError
from serving.live.connection import KEEP_ALIVE, Connection
from serving.live.metrics import LiveMetrics
from serving.live.probe import Probe
from serving.live.settings import LiveSection
from serving.live.streams import Streams, Watch
from serving.reads import Reads
from serving.shapes import FeedItem
from timelines.entry import Entries, Ids
from timelines.home import HomeReader, HomeTimeline

logger = logging.getLogger(__name__)

Newer = Callable[[int, int, int], Awaitable[Sequence[tuple[int, FeedItem]]]]
"""Of a reader what appeared after an appearance, at most so many, each with its appearance id."""

UNAVAILABLE = (RedisError, OSError, FeedUnavailableError, ArchiveUnavailableError)
AT_ONCE = 4
LOOKS, FIRST_LOOK_S = 3, 1.0
"""How often, and after how long, something new is looked for again that the feed does not show.

Its body may be on its way, or the feed answers with what it kept of pulled authors for a moment.
"""


class Hub:
    """Keeps streams fed; :meth:`round` is one look at the store.

    Args:
        home: keeps nothing of pulled authors, so that it sees what the probe saw.
        seconds: a clock that only moves on.
    """

    def __init__(
        self,
        home: HomeReader,
        reads: Reads,
        newer: Newer,
        settings: LiveSection,
        metrics: LiveMetrics,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._reads, self._newer, self._seconds = home, reads, newer, seconds
        self._settings, self._metrics = settings, metrics
        self._probe = Probe(reads.redis, reads.keys)
        self._streams = Streams(settings, metrics)
        self._later: dict[Watch, float] = {}
        self._counts_at = 0.0
        self._opened = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self, reader: int, since: int | None) -> Connection:
        """A stream of a reader, that goes on after ``since`` or begins with what comes.

        Raises:
            TooManyStreamsError: the worker or the reader has all the streams that the settings allow.
        """
        connection = self._streams.open(reader, since, self._seconds())
        self._opened.set()
        return connection

    def leave(self, reader: int, connection: Connection) -> None:
        """The stream has ended."""
        self._streams.leave(reader, connection)

    def start(self) -> None:
        """Feed the streams until :meth:`close`."""
        self._task = asyncio.create_task(self._run(), name="feed-streams")

    def stop(self) -> None:
        """End every stream after an event that says so; no other can be opened."""
        self._streams.close(self._seconds())

    async def close(self) -> None:
        self.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> None:
        """One look: what changed goes to the streams that it concerns.

        Raises:
            RedisError, OSError, FeedUnavailableError, ArchiveUnavailableError: something did not answer; the
                next round goes on from here.
        """
        started = self._seconds()
        self._tend(started)
        await self._find_due(started)
        due = list(self._streams.due)
        for place in range(0, len(due), AT_ONCE):
            if place and self._seconds() - started > self._settings.probe_ms / 1000:
                break  # the rest waits, so that streams leave the worker time for other requests
            await _all(map(self._refresh, due[place : place + AT_ONCE]))
        if started >= self._counts_at:
            self._counts_at = started + self._settings.counts_ms / 1000
            await self._send_counts()

    async def _run(self) -> None:
        try:
            while True:
                with self._metrics.rounds.time():
                    try:
                        await self.round()
                    except UNAVAILABLE as error:
                        self._metrics.failures.inc()
                        logger.warning("The streams of feeds wait for the store: %s", error)
                    except Exception:
                        self._metrics.failures.inc()
                        logger.exception("A round of the streams of feeds failed; the next goes on.")
                self._opened.clear()
                await asyncio.sleep(self._settings.probe_ms / 1000)
                if not self._streams.watches:
                    await self._opened.wait()
        finally:
            self.stop()  # clients go to another worker

    def _tend(self, now: float) -> None:
        for connection in self._streams.connections():
            if now >= connection.ends_at:
                self._streams.finish(connection, "age", now)
            elif connection.idle and now - connection.told_at >= self._settings.keep_alive_seconds:
                connection.offer(KEEP_ALIVE, now)

    async def _find_due(self, now: float) -> None:
        streams = self._streams
        streams.pulled, others = await self._probe.pulled()
        for watch in list(streams.watches.values()) if others else ():
            streams.index(watch, watch.followees, watch.shown)
        for reader in await self._probe.changed_homes(streams.watches):
            if (changed := streams.watches.get(reader)) is not None:
                streams.due.add(changed)
        for author in await self._probe.changed_outboxes(streams.authors):
            streams.due |= streams.authors.concerned(author)
        for watch in [watch for watch, at in self._later.items() if at <= now]:
            del self._later[watch]
            if watch.connections:
                streams.due.add(watch)

    async def _refresh(self, watch: Watch) -> None:
        """Send a reader what is new.

        Raises:
            as :meth:`round`; the reader stays due.
        """
        self._streams.due.discard(watch)
        try:
            await self._send(watch, await self._home.read(watch.reader))
        except UNAVAILABLE:
            if watch.connections:
                self._streams.due.add(watch)
            raise
        except Exception:
            logger.exception("The streams of one reader cannot be fed.")
            for connection in watch.connections:
                self._streams.finish(connection, "error", self._seconds())

    async def _send(self, watch: Watch, home: HomeTimeline) -> None:
        streams, most, now = self._streams, self._settings.catch_up, self._seconds()
        ids, newest = home.entries["appearance"], _newest_of_each(home.entries)
        fresh: dict[Connection, list[int]] = {}
        for connection in watch.connections:
            gap = not connection.begun and connection.since is not None and connection.since < home.beyond
            if not connection.begun:
                connection.begin(ids)
                known = {"newest": str(connection.newest)}
                streams.offer(connection, now, "ready", known, ids=[connection.newest])
            some = connection.fresh(newest)
            if gap or len(some) > most:
                connection.learn(connection.fresh(ids))
                known = {"newest": str(connection.newest)}
                streams.offer(connection, now, "reload", known, ids=[connection.newest])
            elif some:
                fresh[connection] = some
        streams.index(watch, home.followees, _tweets_on_top(home.entries, self._settings.watched))
        wanted = {appearance for some in fresh.values() for appearance in some}
        if not wanted:
            return
        items = dict(await self._newer(watch.reader, min(wanted) - 1, 2 * most))
        watch.looks = watch.looks + 1 if wanted - items.keys() else 0
        again = 0 < watch.looks < LOOKS
        for connection, some in fresh.items():
            found = [appearance for appearance in some if appearance in items]
            resume_from = [connection.learn((appearance,)) for appearance in found]
            if not again:
                connection.learn(connection.fresh(ids))
            streams.offer(connection, now, "tweet", *map(items.__getitem__, found), ids=resume_from)
        if again:
            self._later[watch] = now + FIRST_LOOK_S * 2 ** (watch.looks - 1)
        else:
            watch.looks = 0

    async def _send_counts(self) -> None:
        """Tell changed counts of tweets that stand and whose authors the reader does not keep out."""
        streams, changes = self._streams, dict[Watch, set[int]]()
        for watch in streams.watches.values():
            if watch.untold:
                changes[watch], watch.untold = watch.untold, set()
        for tweet in await self._probe.changed_counts(streams.tweets):
            for watch in streams.tweets.concerned(tweet):
                changes.setdefault(watch, set()).add(tweet)
        if not changes:
            return
        tweets = sorted(set().union(*changes.values()))
        bodies = await self._reads.bodies(tweets)
        found = zip(tweets, bodies, await self._reads.tweet_counts(tweets), strict=True)
        counts = {tweet: now for tweet, body, now in found if body and not body.deleted and any(now.values())}

        async def send(watch: Watch, changed: set[int]) -> None:
            told = {tweet: watch.shown[tweet] for tweet in changed & counts.keys() & watch.shown.keys()}
            hidden, _ = await self._reads.restrictions(watch.reader) if told else (frozenset(), ())
            items = [
                {"id": str(tweet), "counts": counts[tweet]}
                for tweet, author in told.items()
                if author not in hidden
            ]
            for connection in watch.connections if items else ():
                streams.offer(connection, self._seconds(), "counts", {"items": items})

        waiting = list(changes.items())
        for place in range(0, len(waiting), AT_ONCE):
            await _all(send(*some) for some in waiting[place : place + AT_ONCE])


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Do everything; raise the first error only then."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if outcome is not None:
            raise outcome


def _newest_of_each(entries: Entries) -> Ids:
    """The newest appearance of each original."""
    _, first = np.unique(entries["original"], return_index=True)
    found: Ids = entries["appearance"][first]
    return found


def _tweets_on_top(entries: Entries, count: int) -> dict[int, int]:
    """The newest tweets and the author of each."""
    shown: dict[int, int] = {}
    rows = zip(entries["original"].tolist(), entries["original_author"].tolist(), strict=True)
    for tweet, author in rows:
        if len(shown) == count:
            break
        shown.setdefault(tweet, author)
    return shown
