"""The ranking service with a proxy before its Valkey, and readers who know what is theirs.

``BOUND_S`` is the only bound on a request: its deadline (0.3 s), the waits of some ten round trips to Valkey
(0.4 s each at most), and two questions to PostgreSQL, each with 10 s for a turn and 10 s for an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import redis
from fastapi import FastAPI
from pydantic import TypeAdapter

from benchmarks.feed_model import write_model
from benchmarks.feed_world import World, seed
from ingestion.events import AccountRegistered, FollowChanged, TweetCreated
from ingestion.rows import rows_of
from ingestion.settings import SecuritySettings
from ingestion.snowflake import snowflake
from ingestion.stored import body_of, tweet_row
from ingestion.tokens import mint
from records.connections import connect
from records.materialize import Materializer
from records.migrate import migrate
from records.settings import RecordsSettings
from serving.app import create_app
from serving.model_store import LAST_GOOD_FILE
from serving.service import Service
from serving.settings import BreakerSection, ServingSection, ServingSettings
from serving.shapes import FeedPage
from timelines import commands, entry
from timelines.bodies import AccountCard
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from training.settings import MlflowSettings

from .proxy import PASS, Proxy

NAMESPACE = "serving-faults"
NOWHERE = "127.0.0.1:1"
READERS = 6
BOUND_S = 45.0
NEVER = BreakerSection(calls=10_000, least_calls=10_000)


@dataclass(frozen=True)
class Seeded:
    """``private``: the author whom only this reader follows, and what that author posted."""

    world: World
    private: dict[int, tuple[int, tuple[int, ...]]]
    bundle: Path
    dsn: str


def seed_readers(valkey: str, postgres: str, bundle: Path) -> Seeded:
    """Writes readers of shared authors, each with a private one besides, into Valkey and PostgreSQL."""
    write_model(bundle, trees=10, leaves=7)
    settings, now_ms = ServingSettings(namespace=NAMESPACE), time.time_ns() // 1_000_000
    records = RecordsSettings(dsn=postgres)
    migrate(records, NAMESPACE)
    tables = Materializer(lambda: connect(records, NAMESPACE))
    private: dict[int, tuple[int, tuple[int, ...]]] = {}
    with redis.Redis.from_url(valkey) as client:
        keys = Keyspace(NAMESPACE, settings.redis.partitions)
        world = seed(client, keys, settings.timelines, now_ms, READERS, authors=12, tweets=80)
        pipe = client.pipeline(transaction=False)
        for number, reader in enumerate(world.readers):
            author = 20_000 + number
            commands.put_card(pipe, keys, AccountCard(author, f"p{number}", f"P {number}", 1), 1)
            commands.set_followee(pipe, keys, reader, author, 1, True)
            ids = tuple(snowflake(now_ms - 50_000 + 100 * place, 2, number) for place in range(5))
            posted = [
                TweetCreated(event_id=f"t{i}", ts=now_ms, tweet_id=i, author_id=author, text="Private")
                for i in ids
            ]
            for event in posted:
                commands.put_body(pipe, keys, body_of(event))
                entries = entry.entry(*tweet_row(event))
                commands.append_outbox(pipe, keys, settings.timelines, entries)
                commands.deliver(pipe, keys, settings.timelines, np.array([reader]), entries)
            account = AccountRegistered(
                event_id=f"a{author}",
                ts=1,
                user_id=author,
                handle=f"p{number}",
                display_name="P",
                created_at=1,
            )
            follow = FollowChanged(
                event_id=f"f{reader}", ts=1, follower_id=reader, followee_id=author, active=True
            )
            tables.write(rows_of([account, follow, *posted]))
            private[reader] = (author, ids)
        pipe.execute()
    tables.close()
    return Seeded(world, private, bundle, postgres)


@dataclass
class Served:
    """The running service, its proxy before Valkey, and clients signed in as the readers."""

    app: FastAPI
    http: httpx.AsyncClient
    proxy: Proxy
    seeded: Seeded
    headers: dict[int, dict[str, str]]

    @property
    def service(self) -> Service:
        service: Service = self.app.state.serving
        return service

    @property
    def model(self) -> str | None:
        current = self.service.models.current
        return None if current is None else current.version

    def breaker(self, dependency: str = "redis") -> str:
        return {breaker.dependency: breaker.state for breaker in self.service.breakers}[dependency]

    def series(self, name: str, **labels: str) -> float:
        found = self.app.state.serving_metrics.registry.get_sample_value(name, labels)
        return float(found or 0)

    def refused(self) -> bool:
        return self.series("tideline_breaker_refused_total", dependency="redis") > 0

    async def get(self, path: str, reader: int, **params: Any) -> httpx.Response:
        """The answer, which comes within ``BOUND_S``."""
        async with asyncio.timeout(BOUND_S):
            return await self.http.get(path, params=params or None, headers=self.headers[reader])

    async def feed(self, reader: int, algorithm: str = "ranked") -> FeedPage:
        """A page that is this reader's own."""
        answer = await self.get("/v1/feed", reader, algorithm=algorithm, limit=100)
        assert answer.status_code == 200, answer.text
        page = TypeAdapter(FeedPage).validate_json(answer.content, strict=True)
        author, tweets = self.seeded.private[reader]
        seen: dict[int, set[int]] = {}
        for item in page["items"]:
            seen.setdefault(int(item["tweet"]["author"]["id"]), set()).add(int(item["tweet"]["id"]))
        assert seen.keys() <= {author, *self.seeded.world.authors}
        assert seen[author] == set(tweets)
        return page

    async def tweet(self, reader: int, tweet_id: int) -> None:
        """The tweet that was asked for, or a clear word that it cannot be read now."""
        answer = await self.get(f"/v1/tweets/{tweet_id}", reader)
        if answer.status_code == 200:
            assert answer.json()["id"] == str(tweet_id)
        else:
            unavailable(answer)

    async def everyone(self, times: int) -> list[FeedPage]:
        """Feeds of both kinds and tweets, of all readers at the same time."""
        tweets = itertools.cycle(self.seeded.world.tweets)
        readers = [reader for reader in self.seeded.world.readers for _ in range(times)]
        feeds = [self.feed(reader, kind) for reader in readers for kind in ("ranked", "chronological")]
        reads = [self.tweet(reader, next(tweets)) for reader in readers]
        answers = await asyncio.gather(*feeds, *reads)
        return [page for page in answers if page is not None]

    async def until_full(self) -> None:
        async def full() -> bool:
            page = await self.feed(self.seeded.world.readers[0])
            return page["ranking"]["rung"] == "full" and self.breaker() == "closed"

        await until(full, "the feed is ranked again")


async def until(holds: Callable[[], Awaitable[bool]], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        await asyncio.sleep(0.02)


def unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"


@asynccontextmanager
async def served(
    home: Path,
    valkey: str,
    seeded: Seeded,
    mlflow: MlflowSettings | None = None,
    dsn: str | None = None,
    last_good: bool = True,
    **section: Any,
) -> AsyncIterator[Served]:
    """The service over the proxy; with a last-good model it has ranked a feed."""
    address = urlsplit(valkey)
    if last_good:
        folder = home / "serving" / "model" / NAMESPACE
        folder.mkdir(parents=True)
        shutil.copytree(seeded.bundle, folder / seeded.bundle.name)
        (folder / LAST_GOOD_FILE).write_text(f"{seeded.bundle.name}\ntideline-ranker@1\n")
    async with Proxy(str(address.hostname), int(address.port or 0)).listening() as proxy:
        settings = ServingSettings(
            home=home,
            namespace=NAMESPACE,
            redis=RedisSettings(url=f"redis://127.0.0.1:{proxy.port}/0"),
            records=RecordsSettings(dsn=dsn or seeded.dsn, wait_ms=10_000),
            mlflow=mlflow or MlflowSettings(tracking_uri=f"http://{NOWHERE}"),
            security=SecuritySettings(private_key=home / "token.pem", public_key=home / "token.pub.pem"),
            serving=ServingSection(
                **{
                    "cursor_key": home / "cursor.key",
                    "deadline_ms": 300,
                    "redis_timeout_ms": 400,
                    "records_ms": 10_000,
                    "records_breaker": NEVER,
                    **section,
                }
            ),
        )
        app = create_app(settings)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api") as http,
        ):
            now = int(time.time())
            headers = {
                reader: {"Authorization": f"Bearer {mint(settings.security, reader, now, audit=True)}"}
                for reader in seeded.world.readers
            }
            running = Served(app, http, proxy, seeded, headers)
            if last_good:
                await running.until_full()
            yield running
            await proxy.become(PASS)
