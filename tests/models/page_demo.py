"""Both APIs on a real Valkey with a small seeded world: what the page is tested against."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis
import uvicorn

from benchmarks.feed_model import write_model
from benchmarks.feed_world import World, seed
from ingestion.api.settings import WriteSettings
from ingestion.publisher import MemoryPublisher
from ingestion.settings import SecuritySettings
from ingestion.snowflake import snowflake
from serving.model_store import LAST_GOOD_FILE
from serving.settings import ServingSection, ServingSettings
from stack.asgi import build
from timelines import commands, entry
from timelines.bodies import TweetBody
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from training.settings import MlflowSettings


@dataclass
class Demo:
    """A running app; ``world`` as seeded."""

    url: str
    world: World
    client: Any
    settings: ServingSettings

    @property
    def keys(self) -> Keyspace:
        return Keyspace(self.settings.namespace, self.settings.redis.partitions)

    def publish(self, text: str) -> int:
        """A new tweet of a followee, as the stream jobs would put it into the store."""
        author, reader = self.world.authors[-1], self.world.readers[0]
        now = time.time_ns() // 1_000_000
        tweet_id = snowflake(now, 3)
        entries = entry.entry(tweet_id, author, tweet_id, author)
        pipe = self.client.pipeline(transaction=False)
        commands.put_body(pipe, self.keys, TweetBody(tweet_id, author, text, now))
        commands.append_outbox(pipe, self.keys, self.settings.timelines, entries)
        commands.deliver(pipe, self.keys, self.settings.timelines, np.array([reader]), entries)
        pipe.execute()
        return tweet_id


def running(valkey: str, home: Path, dev_login: bool, model: bool = True) -> Iterator[Demo]:
    common: dict[str, Any] = {
        "home": home,
        "namespace": home.name,
        "redis": RedisSettings(url=valkey),
        "security": SecuritySettings(
            private_key=home / "token.pem", public_key=home / "token.pub.pem", dev_login=dev_login
        ),
    }
    settings = ServingSettings(
        **common,
        mlflow=MlflowSettings(tracking_uri="http://127.0.0.1:1"),
        serving=ServingSection(cursor_key=home / "cursor.key", deadline_ms=60_000),
    )
    client = redis.Redis.from_url(valkey)
    world = seed(
        client,
        Keyspace(settings.namespace, settings.redis.partitions),
        settings.timelines,
        time.time_ns() // 1_000_000,
        readers=3,
        authors=12,
        tweets=120,
    )
    if model:
        folder = home / "serving" / "model" / settings.namespace
        folder.mkdir(parents=True)
        write_model(folder / "demo-1", trees=20, leaves=7)
        (folder / LAST_GOOD_FILE).write_text("demo-1\ndemo-ranker@1\n")
    app = build(WriteSettings(**common), settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started or (model and app.state.serving.models.current is None):
        assert time.monotonic() < deadline, "The app did not start."
        time.sleep(0.05)
    app.state.writes = dataclasses.replace(app.state.writes, publisher=MemoryPublisher())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Demo(f"http://127.0.0.1:{port}", world, client, settings)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
