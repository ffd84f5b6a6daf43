"""From the API's acknowledgement of a tweet to its place in the last follower's timeline, under load.

First the highest rate that the whole path sustains: as many tweets as a few connections can post, over the
time until the last is readable. Then half of that rate, evenly paced, and for each tweet how long its last
follower waited. Every follower's timeline is looked at, in turns of some ten milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import redis.asyncio as redis_client
from confluent_kafka import Producer

from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.load import answer_of
from benchmarks.stack import NAMESPACE, running_stack
from ingestion.events import FollowChanged, encode
from ingestion.tokens import mint
from ingestion.topics import route
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from timelines.timeline import decode_home

HOST = "127.0.0.1"
READERS, AUTHORS, FOLLOWERS = 5000, 400, 100
CONNECTIONS = 8
BURST, PACED = 400, 600
LOOK_S = 0.01
PATIENCE_S = 60.0
FIRST_AUTHOR = READERS + 1


@dataclass
class Posted:
    """A tweet, when it was acknowledged (seconds of the performance counter), and who has yet to have it."""

    tweet_id: int
    at: float
    missing: set[int]


@dataclass
class Path:
    """A running stack; authors with ``FOLLOWERS`` followers in the mean."""

    port: int
    redis: redis_client.Redis
    tokens: list[str]
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    followers: list[list[int]] = field(default_factory=list)
    pending: list[Posted] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    errors_5xx: int = 0

    keys = Keyspace(NAMESPACE, RedisSettings().partitions)

    def follow(self, producer: Producer) -> None:
        """Put the graph on the log."""
        for author in range(AUTHORS):
            chosen = self.rng.choice(READERS, self.rng.poisson(FOLLOWERS) + 1, replace=False) + 1
            self.followers.append(chosen.tolist())
            for reader in chosen.tolist():
                event = FollowChanged(
                    event_id=f"f{author}-{reader}",
                    ts=1,
                    follower_id=reader,
                    followee_id=FIRST_AUTHOR + author,
                    active=True,
                )
                topic, key = route(event)
                producer.produce(topic.full_name(NAMESPACE), encode(event), key)
                producer.poll(0)
        producer.flush()

    def run(self) -> Figures:
        """One repetition."""
        return asyncio.run(self._run())

    async def _run(self) -> Figures:
        started = time.perf_counter()
        await self._post(BURST, pause=0.0)
        sustained = BURST / (time.perf_counter() - started)
        self.waits.clear()
        await self._post(PACED, pause=2.0 / sustained)
        p50, p99 = np.percentile(np.array(self.waits) * 1000, [50, 99])
        await self.redis.connection_pool.disconnect()
        return {
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "sustained_tweets_per_s": sustained,
            "offered_tweets_per_s": sustained / 2,
            "errors_5xx": self.errors_5xx,
        }

    async def _post(self, tweets: int, pause: float) -> None:
        """Post, one each ``pause`` seconds or as fast as answered, and wait until all are readable."""
        turns: asyncio.Queue[int | None] = asyncio.Queue()
        posting = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(posting))
            senders = [group.create_task(self._send(turns)) for _ in range(CONNECTIONS)]
            due = time.perf_counter()
            for author in self.rng.integers(0, AUTHORS, tweets).tolist():
                turns.put_nowait(author)
                due += pause
                await asyncio.sleep(max(due - time.perf_counter(), 0))
            for _ in senders:
                turns.put_nowait(None)
            await asyncio.gather(*senders)
            posting.set()

    async def _send(self, turns: asyncio.Queue[int | None]) -> None:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        body = json.dumps({"text": "How fresh is this?"})
        while (author := await turns.get()) is not None:
            head = (
                f"POST /v1/tweets HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.tokens[author]}\r\n"
            )
            kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + kind + body).encode())
            status, answer = await answer_of(reader)
            self.errors_5xx += status >= 500
            if status != 201:
                raise BenchmarkRefusedError(f"A tweet was answered {status}: {answer.decode()}")
            tweet_id = int(json.loads(answer)["id"])
            self.pending.append(Posted(tweet_id, time.perf_counter(), set(self.followers[author])))
        writer.close()
        await writer.wait_closed()

    async def _look(self, posting: asyncio.Event) -> None:
        while not posting.is_set() or self.pending:
            looked = self.pending[:]
            readers = sorted(set().union(*(posted.missing for posted in looked)))
            homes = await self._homes(readers)
            now = time.perf_counter()
            stored = dict(zip(readers, homes, strict=True))
            for posted in looked:
                posted.missing = {r for r in posted.missing if posted.tweet_id not in stored[r]}
                if not posted.missing:
                    self.pending.remove(posted)
                    self.waits.append(now - posted.at)
                elif now - posted.at > PATIENCE_S:
                    raise BenchmarkRefusedError(f"A tweet was not readable after {PATIENCE_S:.0f} s.")
            await asyncio.sleep(LOOK_S)

    async def _homes(self, readers: list[int]) -> list[set[int]]:
        """The ids in each home timeline."""
        if not readers:
            return []
        pipe = self.redis.pipeline(transaction=False)
        for reader in readers:
            pipe.mget(self.keys.home(reader), self.keys.home_tail(reader))
        homes = [decode_home(*parts) for parts in await pipe.execute()]
        return [set(home.entries["appearance"].tolist()) if home else set() for home in homes]


@contextmanager
def trial() -> Iterator[Trial]:
    """The write path alone: Kafka, Valkey, PostgreSQL, the API and the ``timelines`` job."""
    servers = ("kafka", "valkey", "postgres", "relay", "flink", "api")
    with running_stack(servers, ("timelines",), slots=1, valkey_mb=1024) as plan:
        from stack.settings import StackSettings

        security, now = StackSettings().security, int(time.time())
        tokens = [mint(security, FIRST_AUTHOR + author, now) for author in range(AUTHORS)]
        store = redis_client.Redis(host=HOST, port=plan.ports["valkey"])
        path = Path(plan.ports["api"], store, tokens)
        path.follow(Producer({"bootstrap.servers": f"{HOST}:{plan.ports['kafka']}", "log_level": 0}))
        yield Trial("freshness", path.run)
