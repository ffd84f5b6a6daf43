"""A feed over the in-memory store: nothing here starts a server or trains a model."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import values

from ingestion.events import Impression
from ingestion.publisher import LogUnavailableError, MemoryPublisher
from serving.feed.answer import Answer
from serving.feed.feed import Clock, Feed, Request
from serving.feed.side_effects import Impressions
from serving.metrics import ServingMetrics
from serving.model_store import Model
from serving.service import build_feed
from serving.settings import ServingSection, ServingSettings
from timelines import commands, entry
from timelines.bodies import TweetBody
from timelines.keys import Keyspace
from timelines.memory import AsyncMemoryRedis, MemoryRedis, MemoryStore
from timelines.settings import RedisSettings, TimelineSettings

NOW_MS = 1_700_000_000_000


@dataclass
class Models:
    """Stands for the model store."""

    current: Model | None = None


@dataclass
class SmallWorld:
    """One reader (1) and whom it follows, written entry by entry."""

    feed: Feed
    client: MemoryRedis
    keys: Keyspace
    settings: TimelineSettings
    publisher: MemoryPublisher
    models: Models
    dropped: list[None] = field(default_factory=list)
    reader: int = 1

    def write(self, put: Callable[..., Any], *args: Any) -> None:
        pipe = self.client.pipeline(transaction=False)
        put(pipe, self.keys, *args)
        pipe.execute()

    def follow(self, *authors: int) -> None:
        for author in authors:
            self.write(commands.set_followee, self.reader, author, 1, True)

    def tweet(self, tweet_id: int, author: int, body: bool = True) -> None:
        """A tweet pushed to the reader."""
        self._appear(tweet_id, author, tweet_id, author, 0)
        if body:
            self.write(commands.put_body, TweetBody(tweet_id, author, f"tweet {tweet_id}", NOW_MS))

    def retweet(self, retweet_id: int, by: int, tweet_id: int, author: int) -> None:
        self._appear(retweet_id, by, tweet_id, author, entry.RETWEET)

    def delete(self, tweet_id: int, author: int) -> None:
        from timelines.bodies import tombstone

        self.write(commands.put_body, tombstone(tweet_id, author))

    def _appear(self, appearance: int, by: int, original: int, author: int, flags: int) -> None:
        entries = entry.entry(appearance, by, original, author, flags)
        self.write(commands.append_outbox, self.settings, entries)
        self.write(commands.deliver, self.settings, np.array([self.reader]), entries)

    def page(
        self,
        algorithm: str = "chronological",
        limit: int = 3,
        cursor: str | None = None,
        reader: int | None = None,
        audit: bool = False,
    ) -> Answer:
        async def ask() -> Answer:
            asked_for = self.reader if reader is None else reader
            request = Request(asked_for, algorithm, limit, cursor, audit)  # type: ignore[arg-type]
            answer, _ = await self.feed.page(request)
            await self.feed.runner.drain()
            return answer

        return asyncio.run(ask())

    def scroll(self, limit: int = 3) -> list[int]:
        """The ids of all pages, to the end."""
        answer = self.page(limit=limit)
        ids: list[int] = answer.items.original.tolist()
        while answer.next_cursor is not None:
            answer = self.page(limit=limit, cursor=answer.next_cursor)
            ids += answer.items.original.tolist()
        return ids

    @property
    def impressions(self) -> list[Impression]:
        return [event for event in self.publisher.events if isinstance(event, Impression)]


@pytest.fixture(autouse=True)
def figures_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's server code, once imported, makes all registries of a process share theirs."""
    monkeypatch.setattr(values, "ValueClass", values.MutexValue)


@pytest.fixture
def world(tmp_path: Path) -> SmallWorld:
    store = MemoryStore()
    settings = ServingSettings(
        redis=RedisSettings(partitions=4),
        serving=ServingSection(cursor_key=tmp_path / "cursor.key", deadline_ms=60_000),
    )
    publisher = MemoryPublisher()
    dropped: list[None] = []
    impressions = Impressions(publisher, lambda: None, lambda: dropped.append(None), (LogUnavailableError,))
    requests = itertools.count(1)
    clock = Clock(lambda: NOW_MS, lambda: f"{next(requests):032x}", lambda: 0.0)
    models = Models()
    feed = build_feed(settings, AsyncMemoryRedis(store), models, impressions, clock, ServingMetrics())
    small = SmallWorld(
        feed, MemoryRedis(store), feed.stores.keys, settings.timelines, publisher, models, dropped
    )
    small.write(commands.note_beginning)
    small.write(commands.activate, settings.timelines, [small.reader])
    return small
